"""``ParameterContext``: what functions are called with whose values are asked for before a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flowsdk.configs.value import ConfigValue
from flowsdk.identity import user_name


def _log(message: str) -> None:
    sys.stderr.write(f"{message}\n")


@dataclass(frozen=True)
class ParameterContext:
    """What a default that is a function is called with.

    Attributes:
        flow_name: Name of the flow.
        user_name: Who runs it.
        parameter_name: Name of the parameter, or of the Config.
        logger: Prints a line for whoever starts the run.
        ds_type: ``local`` or ``s3``: where the run's data lies.
        configs: The flow's Configs by name; for a Config, those that stand above it.
    """

    flow_name: str
    user_name: str
    parameter_name: str
    logger: Callable[[str], None] = _log
    ds_type: str = "local"
    configs: ConfigValue = field(default_factory=lambda: ConfigValue({}))

    @classmethod
    def of(cls, flow: type, name: str, **more: Any) -> ParameterContext:
        """The context for one name of a flow, as seen by the user of this process."""
        return cls(flow.__name__, user_name(), name, **more)
