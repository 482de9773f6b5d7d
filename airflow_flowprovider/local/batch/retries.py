"""Whether a failed attempt is followed by another: ``retryStrategy`` and ``evaluateOnExit``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_flowprovider.local.batch.model import Attempt


def is_retried(strategy: Mapping[str, Any], attempt: Attempt, attempts_made: int) -> bool:
    """Decide about a retry as AWS does.

    A job that was stopped on request or by its timeout is never retried, whatever the strategy
    says. Of the conditions the first that matches decides; if none matches, the job is retried.

    Args:
        strategy: ``{"attempts": n, "evaluateOnExit": [...]}``.
        attempt: The attempt that has failed.
        attempts_made: Attempts so far, including this one.
    """
    if attempt.stop and attempt.stop.kind != "interrupt":
        return False
    if attempts_made >= strategy["attempts"]:
        return False
    for condition in strategy.get("evaluateOnExit") or []:
        if _applies(condition, attempt):
            return str(condition["action"]).upper() == "RETRY"
    return True


def _applies(condition: Mapping[str, Any], attempt: Attempt) -> bool:
    return (
        matches(condition.get("onStatusReason"), attempt.status_reason)
        and matches(condition.get("onReason"), attempt.reason)
        and matches(condition.get("onExitCode"), attempt.exit_code)
    )


def matches(pattern: str | None, value: object) -> bool:
    """Match a glob of Batch: only a trailing ``*`` is special; no pattern matches everything."""
    if pattern is None:
        return True
    text = "" if value is None else str(value)
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern
