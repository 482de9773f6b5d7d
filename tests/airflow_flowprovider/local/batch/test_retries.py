from __future__ import annotations

from typing import Any

import pytest

from airflow_flowprovider.local.batch.model import Attempt, StopKind, StopRequest
from airflow_flowprovider.local.batch.retries import is_retried, matches


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        (None, "anything", True),
        ("*", None, True),
        ("Host EC2*", "Host EC2 (instance i-0abc) terminated.", True),
        ("Host EC2*", "host ec2", False),
        ("13*", 137, True),
        ("1", 137, False),
        ("*37", 137, False),  # a star is special at the end only
        ("", None, True),
    ],
)
def test_globs_have_a_trailing_star_only(pattern: str | None, value: Any, expected: bool) -> None:
    assert matches(pattern, value) is expected


def _attempt(**fields: Any) -> Attempt:
    return Attempt(number=1, task_arn="t", instance_arn="i", **fields)


def test_all_conditions_of_a_rule_must_hold() -> None:
    rule = {"action": "exit", "onExitCode": "1", "onReason": "OutOfMemory*"}
    strategy = {"attempts": 3, "evaluateOnExit": [rule]}
    assert is_retried(strategy, _attempt(exit_code=1), 1)
    assert not is_retried(strategy, _attempt(exit_code=1, reason="OutOfMemoryError: x"), 1)


def test_no_match_means_a_retry() -> None:
    rule = {"action": "EXIT", "onExitCode": "2"}
    assert is_retried({"attempts": 2, "evaluateOnExit": [rule]}, _attempt(exit_code=1), 1)


def test_attempts_are_counted_whatever_the_rules_say() -> None:
    rule = {"action": "RETRY", "onReason": "*"}
    assert not is_retried({"attempts": 2, "evaluateOnExit": [rule]}, _attempt(exit_code=1), 2)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("timeout", False), ("terminate", False), ("cancel", False), ("interrupt", True)],
)
def test_of_all_stops_only_an_interruption_is_retried(kind: StopKind, expected: bool) -> None:
    attempt = _attempt(stop=StopRequest(kind, "why"))
    assert is_retried({"attempts": 2}, attempt, 1) is expected
