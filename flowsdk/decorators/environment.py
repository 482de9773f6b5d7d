"""``@environment``."""

from __future__ import annotations

from flowsdk.decorators.base import StepDecorator


class Environment(StepDecorator):
    """Set environment variables for a step's task.

    Args:
        vars: Name → value; values become text.
    """

    name = "environment"
    defaults = {"vars": {}}

    def check(self) -> None:
        """Names must be text, and not ones that AWS Batch keeps for itself."""
        variables = self.attributes["vars"]
        if not isinstance(variables, dict):
            raise self.error(f"vars={variables!r}, expected a dict.")
        for key in variables:
            if not isinstance(key, str) or not key or "=" in key:
                raise self.error(f"found variable {key!r}, expected a name.")
            # https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
            if key.startswith("AWS_BATCH"):
                raise self.error(f"found variable {key!r}; AWS Batch reserves AWS_BATCH*.")


environment = Environment.decorate
