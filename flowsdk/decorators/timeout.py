"""``@timeout``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flowsdk.decorators.base import StepDecorator


class Timeout(StepDecorator):
    """Stop a step that runs too long; time in a queue does not count.

    Args:
        seconds: Added up with the other two to whole seconds. Default 0.
        minutes: Default 0.
        hours: Default 0.
    """

    name = "timeout"
    defaults: ClassVar[Mapping[str, Any]] = {"seconds": 0, "minutes": 0, "hours": 0}

    @property
    def total_seconds(self) -> int:
        """The limit."""
        a = self.attributes
        return int(a["seconds"] + 60 * a["minutes"] + 3600 * a["hours"])

    def check(self) -> None:
        """The sum must be positive."""
        for key, found in self.attributes.items():
            value = self.number(key)
            if value is None or value < 0:
                raise self.error(f"{key}={found!r}, expected a number, 0 or more.")
            self.attributes[key] = value
        a = self.attributes
        total = a["seconds"] + 60 * a["minutes"] + 3600 * a["hours"]
        if total <= 0:
            raise self.error("found no time, expected seconds, minutes or hours.")
        if total != int(total):
            raise self.error(f"found {total:g} seconds, expected whole seconds.")


timeout = Timeout.decorate
