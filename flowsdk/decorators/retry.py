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
        on_oom: By how much the memory that AWS Batch is asked for is multiplied each time that the
            step has run out of it, e.g. 1.5; 1 or more. On Fargate, the next size that there is. By
            default it stays the same.
    """

    name = "retry"
    defaults: ClassVar[Mapping[str, Any]] = {
        "times": 3,
        "minutes_between_retries": 2,
        "on_oom": None,
    }

    def check(self) -> None:
        """All must be numbers, not negative."""
        for key, expected in (("times", "whole number"), ("minutes_between_retries", "number")):
            value = self.number(key)
            if value is None or value < 0 or (key == "times" and value != int(value)):
                found = self.attributes[key]
                raise self.error(f"{key}={found!r}, expected a {expected}, 0 or more.")
            self.attributes[key] = int(value) if key == "times" else value
        if (given := self.attributes["on_oom"]) is not None:
            factor = self.number("on_oom")
            if factor is None or factor < 1:
                raise self.error(f"on_oom={given!r}, expected a number, 1 or more.")
            self.attributes["on_oom"] = factor


retry = Retry.decorate
