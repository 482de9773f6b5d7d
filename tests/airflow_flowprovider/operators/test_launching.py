from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_flowprovider.operators.launching import Launch, Launcher, Tries
from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.spec import ErrorInfo, TaskRef, TaskSpec
from tests.airflow_flowprovider.operators.fakes import FLOW, RUN, FakeTaskInstance
from tests.flowsdk.aws_batch.fakes import FakeBatch, commit, succeed

FIRST = Tries(0, 0)
USER = ErrorInfo("user", "builtins.ValueError", "no")
SYSTEM = ErrorInfo("system", "flowsdk.aws_batch.NotStarted", "no")


@pytest.fixture
def launcher(jobs: BatchJobs, store: FlowDatastore, defaults: BatchDefaults) -> Launcher:
    return Launcher(jobs, store, StepSettings(retry_times=1), defaults)


def spec(attempt: int = 0, task: str = "0") -> TaskSpec:
    return TaskSpec(FLOW, RUN, "join", task, attempt, "root")


@pytest.mark.parametrize(
    ("try_number", "max_tries", "tries"),
    [
        (1, 3, Tries(0, 0)),
        (3, 3, Tries(2, 0)),
        (4, 6, Tries(3, 3)),  # cleared after three tries: Airflow adds them to max_tries
        (5, 6, Tries(4, 3)),
        (2, 1, Tries(1, 0)),  # the DAG allows more retries now than when the task was first tried
    ],
)
def test_generations(try_number: int, max_tries: int, tries: Tries) -> None:
    ti = FakeTaskInstance("join", try_number=try_number, max_tries=max_tries)
    assert Tries.of(ti, 3) == tries


def test_a_first_attempt_is_submitted_without_a_look(
    fake: FakeBatch, launcher: Launcher, store: FlowDatastore
) -> None:
    launch = launcher.launch(spec(), FIRST)
    assert launch == Launch("job-0", TaskRef("join", "0", 0))
    assert store.read_spec(RUN, launch.ref) == spec()
    assert set(fake.calls) == {"SubmitJob", "RegisterJobDefinition"}
    assert fake.names()[0].endswith("-g0-0")


@pytest.mark.parametrize("status", ["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"])
def test_the_next_worker_adopts_an_active_job(
    fake: FakeBatch, launcher: Launcher, status: str
) -> None:
    launcher.launch(spec(), FIRST)
    fake.change("job-0", status)
    adopted = Launch("job-0", TaskRef("join", "0", 0), adopted=True)
    assert launcher.launch(spec(1), Tries(1, 0)) == adopted
    assert launcher.launch(spec(2), Tries(2, 0)) == adopted
    assert len(fake.jobs) == 1


def test_the_same_try_again_adopts_its_own_job(fake: FakeBatch, launcher: Launcher) -> None:
    launcher.launch(spec(), FIRST)
    assert launcher.launch(spec(), FIRST) == Launch("job-0", TaskRef("join", "0", 0), adopted=True)


def test_a_worker_that_died_before_submitting_leaves_the_work_to_the_next(
    fake: FakeBatch, launcher: Launcher, store: FlowDatastore
) -> None:
    store.write_spec(spec())
    assert launcher.launch(spec(), FIRST).job_id == "job-0"


def test_an_earlier_success_needs_no_job(
    fake: FakeBatch, launcher: Launcher, store: FlowDatastore
) -> None:
    launcher.launch(spec(), FIRST)
    succeed(store, spec(), batch_job="job-0")
    fake.jobs.clear()  # AWS forgets finished jobs
    launch = launcher.launch(spec(1), Tries(1, 0))
    assert launch == Launch("job-0", TaskRef("join", "0", 0), adopted=True)
    assert not fake.jobs


def test_a_job_that_has_failed_is_followed_by_another(fake: FakeBatch, launcher: Launcher) -> None:
    launcher.launch(spec(), FIRST)
    fake.change("job-0", "FAILED")
    assert launcher.launch(spec(1), Tries(1, 0)) == Launch("job-1", TaskRef("join", "0", 1))
    assert fake.names()[1].endswith("-g0-1")


def test_a_job_that_is_ending_is_not_adopted(
    fake: FakeBatch, launcher: Launcher, jobs: BatchJobs, store: FlowDatastore
) -> None:
    launcher.launch(spec(), FIRST)
    fake.change("job-0", "RUNNING")
    jobs.terminate("job-0", "by a user")
    assert launcher.launch(spec(1), Tries(1, 0)).job_id == "job-1"
    commit(store, spec(1), status="failed", error=USER)
    assert launcher.launch(spec(2), Tries(2, 0)).job_id == "job-2"


def test_jobs_of_other_tasks_are_none_of_its_business(fake: FakeBatch, launcher: Launcher) -> None:
    launcher.launch(spec(task="1"), FIRST)
    assert launcher.launch(spec(1, task="11"), Tries(1, 0)).job_id == "job-1"
    assert launcher.launch(replace(spec(1, task="1"), run="other"), Tries(1, 0)).job_id == "job-2"


def test_a_cleared_task_runs_afresh_and_alone(
    fake: FakeBatch, launcher: Launcher, store: FlowDatastore
) -> None:
    launcher.launch(spec(), FIRST)
    succeed(store, spec(), batch_job="job-0")
    fake.change("job-0", "SUCCEEDED")
    assert launcher.launch(spec(1), Tries(1, 1)) == Launch("job-1", TaskRef("join", "0", 1))
    assert launcher.launch(spec(2), Tries(2, 2)) == Launch("job-2", TaskRef("join", "0", 2))
    assert "isTerminated" not in fake.jobs["job-0"]
    assert fake.jobs["job-1"]["isTerminated"]
    # And its retry finds that job, not those from before.
    assert launcher.launch(spec(3), Tries(3, 2)).job_id == "job-2"


def test_the_same_try_of_a_cleared_task_again_adopts_its_own_job(
    fake: FakeBatch, launcher: Launcher
) -> None:
    launcher.launch(spec(1), Tries(1, 1))
    assert launcher.launch(spec(1), Tries(1, 1)) == Launch(
        "job-0", TaskRef("join", "0", 1), adopted=True
    )
    assert "isTerminated" not in fake.jobs["job-0"]


def test_a_job_that_cannot_be_ended_does_not_keep_a_cleared_task_from_running(
    fake: FakeBatch, launcher: Launcher, caplog: pytest.LogCaptureFixture
) -> None:
    launcher.launch(spec(), FIRST)
    fake.fail("TerminateJob", "AccessDeniedException", "not allowed")
    assert launcher.launch(spec(1), Tries(1, 1)).job_id == "job-1"
    assert "not allowed" in caplog.text


def test_user_retries_are_counted_by_what_failed(
    launcher: Launcher, store: FlowDatastore, tmp_path: Path
) -> None:
    commit(store, spec(0), status="failed", error=USER)  # before the task was cleared
    for attempt, error in enumerate((SYSTEM, USER, SYSTEM, USER), start=1):
        commit(store, spec(attempt), status="failed", error=error)
    assert launcher.failures(spec(4), Tries(4, 1)) == 2
    launch = launcher.launch(spec(5), Tries(5, 1))
    assert store.read_spec(RUN, launch.ref).retry_count == 2
