from __future__ import annotations

from datetime import timedelta

import pytest

pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="Airflow 3.3 has policies")

import airflow.sdk
from airflow.sdk import BaseOperator, RetryAction, RetryPolicy

from airflow_flowprovider.compat import retry_policy
from airflow_flowprovider.compiler import compile_flow
from airflow_flowprovider.retry import DelayByKind
from flowsdk.exception import BatchError, DatastoreError, FlowException, Interrupted, TaskFailed
from tests.airflow_flowprovider.operators.flows import SampleFlow

USERS, PLATFORMS = timedelta(minutes=2), timedelta(seconds=10)


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (TaskFailed("no such digit", "user"), USERS),
        (TaskFailed("the host is gone", "interrupted"), PLATFORMS),
        (TaskFailed("no role", "system"), PLATFORMS),
        (Interrupted("the worker ends"), PLATFORMS),
        (DatastoreError("S3 does not answer"), PLATFORMS),
    ],
)
def test_who_has_to_act_decides_how_long_a_try_waits(
    error: FlowException, delay: timedelta
) -> None:
    decision = DelayByKind(USERS, PLATFORMS).evaluate(error, 1, 3)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, delay)
    assert str(delay) in str(decision.reason)


def test_of_what_no_flow_did_airflow_decides() -> None:
    decision = DelayByKind(USERS, PLATFORMS).evaluate(ValueError("?"), 1, 3)
    assert decision.action == RetryAction.DEFAULT


def test_the_tasks_of_a_dag_have_it() -> None:
    def delays(step: str) -> list[timedelta | None]:
        task = compile_flow(SampleFlow).task_dict[step]
        assert isinstance(task, BaseOperator)
        policy = task.retry_policy
        assert isinstance(policy, RetryPolicy)
        errors = (TaskFailed("x", "user"), BatchError("x"))
        return [policy.evaluate(error, 1, 3).retry_delay for error in errors]

    assert delays("body") == [USERS, PLATFORMS]
    assert delays("join") == [PLATFORMS, PLATFORMS]


def test_before_airflow_had_policies_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name in airflow.sdk.__all__ if name != "RetryPolicy"]
    monkeypatch.setattr(airflow.sdk, "__all__", names)
    assert retry_policy(USERS, PLATFORMS) == {}
