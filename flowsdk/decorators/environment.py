"""``@environment``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flowsdk.decorators.base import StepDecorator


class Environment(StepDecorator):
    """Set environment variables for a step's task.

    Args:
        vars: Name → value, a text or a number.
    """

    name = "environment"
    defaults: ClassVar[Mapping[str, Any]] = {"vars": {}}

    def check(self) -> None:
        """Names must be text, and not ones that AWS Batch keeps for itself; values plain."""
        variables = self.attributes["vars"]
        if not isinstance(variables, dict):
            raise self.error(f"vars={variables!r}, expected a dict.")
        for key, value in variables.items():
            if not isinstance(key, str) or not key or "=" in key or "\0" in key:
                raise self.error(f"found variable {key!r}, expected a name.")
            if not isinstance(value, (str, int, float)) or "\0" in str(value):
                raise self.error(f"found {key}={value!r}, expected a text or a number.")
            # https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
            if key.startswith("AWS_BATCH"):
                raise self.error(f"found variable {key!r}; AWS Batch reserves AWS_BATCH*.")


environment = Environment.decorate
