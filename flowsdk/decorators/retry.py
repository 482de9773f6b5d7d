"""``@retry``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flowsdk.decorators.base import StepDecorator


class Retry(StepDecorator):
    """Try a step again when its code fails.

    Args:
        times: How many more times; 0 turns ``--with retry`` off for the step. Default 3.
        minutes_between_retries: How long to wait before each. Default 2.
    """

    name = "retry"
    defaults: ClassVar[Mapping[str, Any]] = {"times": 3, "minutes_between_retries": 2}

    def check(self) -> None:
        """Both must be numbers, not negative."""
        times, minutes = self.attributes["times"], self.attributes["minutes_between_retries"]
        if not isinstance(times, int) or isinstance(times, bool) or times < 0:
            raise self.error(f"times={times!r}, expected a whole number, 0 or more.")
        if not isinstance(minutes, (int, float)) or minutes < 0:
            raise self.error(f"minutes_between_retries={minutes!r}, expected a number, 0 or more.")


retry = Retry.decorate
