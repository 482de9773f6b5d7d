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
        for key, expected in (("times", "whole number"), ("minutes_between_retries", "number")):
            value = self.number(key)
            if value is None or value < 0 or (key == "times" and value != int(value)):
                found = self.attributes[key]
                raise self.error(f"{key}={found!r}, expected a {expected}, 0 or more.")
            self.attributes[key] = int(value) if key == "times" else value


retry = Retry.decorate
