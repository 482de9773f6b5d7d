"""How the embedded AWS Batch differs from the real one in speed, and what its "images" are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Settings:
    """Delays and limits, with what AWS does in brackets. All durations in seconds."""

    submitted_seconds: float = 0.02
    """SUBMITTED, before a job becomes PENDING or RUNNABLE [a moment]."""
    runnable_seconds: float = 0.02
    """RUNNABLE, before a job may be placed [until an instance is up: minutes]."""
    starting_seconds: float = 0.05
    """STARTING [until the image is pulled: seconds to minutes]."""
    stop_grace_seconds: float = 5.0
    """Between SIGTERM and SIGKILL [30]."""
    minimum_timeout_seconds: int = 60
    """Lowest ``attemptDurationSeconds`` accepted [60]."""
    log_flush_seconds: float = 0.2
    """How long a log line may wait before it is in CloudWatch [about 5]."""
    retention_seconds: float = 86_400.0
    """How long a finished job can be described [at least a day]."""
    requests_per_second: float = 0.0
    """Of each Batch operation, above which requests are throttled [50]; 0 is never."""
    enforce_memory: bool = True
    """Kill a job that uses more memory than it asked for [always]."""
    gpus: int = 0
    """GPUs of this machine; a job that asks for more stays RUNNABLE."""
    images: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    """Image name prefix → ``{"path": [folders], "env": {...}}`` put before the defaults; None for
    an image that cannot be pulled. The longest prefix counts; any other image is this Python."""

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what :meth:`to_json` has written; fields left out keep their defaults.

        Raises:
            ValueError: There is a field of another name.
        """
        given = json.loads(text)
        known = [f.name for f in dataclasses.fields(cls)]
        if unknown := sorted(set(given) - set(known)):
            raise ValueError(
                f"Settings of the embedded AWS (--settings): found {', '.join(unknown)}, "
                f"expected some of {', '.join(known)}. Correct the names."
            )
        return cls(**given)

    def to_json(self) -> str:
        """These settings as one JSON object."""
        return json.dumps(dataclasses.asdict(self))
