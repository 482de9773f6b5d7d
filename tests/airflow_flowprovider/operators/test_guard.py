from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_flowprovider.operators import watching
from airflow_flowprovider.operators.step import FlowStepOperator
from flowsdk.exception import DatastoreError, Interrupted
from tests.airflow_flowprovider.moved import TaskDeferred
from tests.airflow_flowprovider.operators.driver import START, Driver, event
from tests.airflow_flowprovider.operators.fakes import SPLITS, context
from tests.flowsdk.aws_batch.fakes import succeed


def kill_when(driver: Driver, operator: FlowStepOperator, monkeypatch: pytest.MonkeyPatch, what: Any = None) -> None:  # fmt: skip
    """Let SIGTERM come while the operator sleeps."""

    def sleep(_: float) -> None:
        if what:
            what()
        operator.on_kill()

    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__SYNC_WINDOW", "30")
    monkeypatch.setattr(watching.time, "sleep", sleep)


@pytest.mark.parametrize(
    ("state", "try_number", "ended"),
    [
        ("failed", 1, True),
        ("success", 1, True),
        ("restarting", 1, True),  # cleared
        (None, 1, True),  # its run is deleted
        ("running", 1, False),  # the worker shuts down
        ("deferred", 1, False),  # it was taken for dead, and the next try is under way
        ("running", 3, True),  # there will be no other
    ],
)
def test_sigterm_ends_the_job_unless_another_try_takes_it_up(
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
    state: str | None,
    try_number: int,
    ended: bool,
) -> None:
    operator, ti = driver.operator("start"), driver.ti("start", try_number=try_number)
    states = {} if state is None else {ti.run_id: {"start": state}}
    monkeypatch.setattr(ti, "get_task_states", lambda **_: states)
    kill_when(driver, operator, monkeypatch)
    with pytest.raises(Interrupted, match="Its Batch jobs: job-0"):
        driver.execute(ti, operator)
    assert driver.fake.calls["TerminateJob"] == ended


def test_sigterm_while_the_api_server_is_away(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, ti = driver.operator("start"), driver.ti("start")

    def refuse(**_: Any) -> None:
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))

    monkeypatch.setattr(ti, "get_task_states", refuse)
    kill_when(driver, operator, monkeypatch)
    with pytest.raises(Interrupted):
        driver.execute(ti, operator)
    assert driver.fake.calls["TerminateJob"] == 0


def test_sigterm_never_turns_a_task_green(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = driver.operator("start")
    kill_when(driver, operator, monkeypatch, lambda: succeed(driver.store, driver.spec(START)))
    with pytest.raises(Interrupted):
        driver.execute(driver.ti("start"), operator)


def test_on_kill_after_execute_ends_the_job_too(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when an execution_timeout has raised out of ``execute``."""
    operator = driver.operator("start")

    def time_out(_: float) -> None:
        raise TimeoutError

    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__SYNC_WINDOW", "30")
    monkeypatch.setattr(watching.time, "sleep", time_out)
    with pytest.raises(TimeoutError):
        driver.execute(driver.ti("start"), operator)
    assert "isTerminated" not in driver.fake.jobs["job-0"]
    operator.on_kill()
    assert driver.fake.jobs["job-0"]["isTerminated"]


@pytest.mark.parametrize("state", ["failed", "restarting", "success"])
def test_a_task_that_a_user_has_just_ended_does_not_defer(driver: Driver, state: str) -> None:
    ti = driver.ti("start")
    ti.state = state
    with pytest.raises(Interrupted):
        driver.execute(ti)
    assert driver.fake.jobs["job-0"]["isTerminated"]


def test_sigterm_at_the_moment_of_the_deferral(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow refuses a deferral of what a user has ended meanwhile."""
    operator, ti = driver.operator("start"), driver.ti("start")

    def end(_: Any) -> bool:
        ti.state = "failed"
        operator.on_kill()
        return False

    monkeypatch.setattr(operator, "_may_end_in_trigger", end)
    with pytest.raises(TaskDeferred):
        driver.execute(ti, operator)
    assert driver.fake.jobs["job-0"]["isTerminated"]


@pytest.mark.parametrize(("try_number", "ended"), [(2, False), (3, True)])
def test_the_last_try_leaves_no_job_behind_whatever_it_fails_by(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, try_number: int, ended: bool
) -> None:
    def fail(*_: Any) -> None:
        raise DatastoreError("S3 does not answer.")

    monkeypatch.setattr(watching.JobWatch, "watch", fail)
    with pytest.raises(DatastoreError):
        driver.execute(driver.ti("start", try_number=try_number))
    assert bool(driver.fake.jobs["job-0"].get("isTerminated")) == ended


def test_sigterm_while_a_task_is_taken_up(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    ti = driver.ti("start")
    trigger = driver.defer(ti)
    succeed(driver.store, driver.spec(START), splits=SPLITS)
    operator = driver.operator("start")
    monkeypatch.setattr(operator, "_describe", lambda _: operator.on_kill())
    with pytest.raises(Interrupted):
        operator.resume(context(ti), event(trigger))  # type: ignore[arg-type]
