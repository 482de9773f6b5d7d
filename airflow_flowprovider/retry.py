"""When a task is tried again: by who has to act, not only by how often.

Of Airflow 3.3 and later; before, all tries of a task wait alike. See ``compat.retry_policy``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryDecision, RetryPolicy

from flowsdk.exception import FlowException

if TYPE_CHECKING:
    from airflow.sdk import Context


class DelayByKind(RetryPolicy):
    """Lets what the platform did be tried again soon, and what the code did as its author says.

    What it does not do:
        It does not decide whether a task is tried again: the operator knows what has failed how often.

    Args:
        users: How long the step's author lets pass before each retry.
        platforms: How long to wait where the code is not to blame.
    """

    def __init__(self, users: timedelta, platforms: timedelta) -> None:
        self._users = users
        self._platforms = platforms

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """How long to wait; Airflow's own way where something else than a flow has failed."""
        if not isinstance(exception, FlowException):
            return RetryDecision.default()
        is_users = exception.kind == "user"
        delay = self._users if is_users else self._platforms
        whose = "its code" if is_users else f"the platform ({exception.kind})"
        return RetryDecision.retry(delay, f"The task failed by {whose}: it waits for {delay}.")
