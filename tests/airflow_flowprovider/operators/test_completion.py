from __future__ import annotations

from typing import Any

import pytest

from airflow_flowprovider.compat import AirflowFailException
from airflow_flowprovider.operators import completion
from airflow_flowprovider.operators.completion import (
    chunk_size,
    failure,
    record_failure,
    record_success,
    settle_jobs,
    tell_failures,
)
from airflow_flowprovider.operators.launching import Job
from airflow_flowprovider.operators.progress import Progress
from airflow_flowprovider.records import RECORD_KEY
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError, TaskFailed
from flowsdk.flow import graph_of
from flowsdk.planning import task_id
from flowsdk.record import TaskRecord
from flowsdk.runtime.logs import LogLine, LogWriter
from flowsdk.spec import ErrorInfo, Splits, TaskSpec
from flowsdk.succession import Planned
from tests.airflow_flowprovider.operators.fakes import FLOW, RUN, FakeTaskInstance
from tests.airflow_flowprovider.operators.flows import SampleFlow
from tests.flowsdk.aws_batch.fakes import FakeBatch, commit, succeed

SPEC = TaskSpec(FLOW, RUN, "start", "0", 0, "root")
USER = ErrorInfo("user", "builtins.ValueError", "no such digit", "Traceback …")
LOST = ErrorInfo("user", "flowsdk.aws_batch.OutOfMemory", "no memory")
SYSTEM = ErrorInfo("system", "flowsdk.aws_batch.NotStarted", "no role")
WIDE = Splits("names", 12, "digest", tuple("abcdefghijkl"))


class Logs:
    def __call__(self) -> tuple[Any, str]:
        return self, "group"

    def get_log_events(self, **request: Any) -> dict[str, Any]:
        assert request["logGroupName"] == "group"
        return {"events": [{"message": f"{request['logStreamName']}: python3: not found"}]}


def job(fake: FakeBatch, job_id: str, **fields: Any) -> None:
    container = {"resourceRequirements": [], **fields.pop("container", {})}
    fake.jobs[job_id] = {"jobId": job_id, "jobName": "n", "container": container, **fields}


def settle(store: FlowDatastore, fake: FakeBatch, made: Job) -> list[str]:
    shown: list[str] = []
    settle_jobs(store, BatchJobs(fake), [made], shown.append, Logs(), lambda: None)
    return shown


@pytest.fixture
def single(store: FlowDatastore) -> Job:
    store.write_spec(SPEC)
    return Job("j", store.spec_uri(RUN, SPEC.ref))


def test_a_result_decides_whatever_aws_says(
    store: FlowDatastore, fake: FakeBatch, single: Job
) -> None:
    own = succeed(store, SPEC)
    job(fake, "j", status="FAILED")
    assert settle(store, fake, single) == []
    assert store.read_result(RUN, SPEC.ref) == own
    assert fake.calls == {}


def test_a_job_that_never_came_to_our_code_shows_what_its_container_printed(
    store: FlowDatastore, fake: FakeBatch, single: Job
) -> None:
    job(fake, "j", status="FAILED", container={"exitCode": 127, "logStreamName": "stream"})
    assert settle(store, fake, single) == ["stream: python3: not found"]
    result = store.read_result(RUN, SPEC.ref)
    assert result.error is not None
    assert result.error.type == "flowsdk.aws_batch.NoResult"


def test_an_answer_of_aws_that_lags_is_waited_for(
    store: FlowDatastore, fake: FakeBatch, single: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            fake.change("j", "FAILED", statusReason="Host EC2 (instance i-1) terminated.")

    monkeypatch.setattr(completion.time, "sleep", sleep)
    job(fake, "j", status="RUNNING")
    settle(store, fake, single)
    result = store.read_result(RUN, SPEC.ref)
    assert result.error is not None
    assert result.error.type == "flowsdk.aws_batch.HostTerminated"
    assert fake.calls["DescribeJobs"] == 3


def test_a_job_that_still_runs_is_not_declared_dead(
    store: FlowDatastore, fake: FakeBatch, single: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "_LOOK_AGAIN_SECONDS", 0.0)
    job(fake, "j", status="RUNNING")
    with pytest.raises(BatchError, match="found it RUNNING, expected a finished job"):
        settle(store, fake, single)
    assert store.find_result(RUN, SPEC.ref) is None


def test_nothing_is_decided_while_aws_does_not_answer(
    store: FlowDatastore, fake: FakeBatch, single: Job
) -> None:
    fake.fail("DescribeJobs", "ServerException", "try later")
    with pytest.raises(BatchError, match="try later"):
        settle(store, fake, single)
    assert store.find_result(RUN, SPEC.ref) is None


def specs_of_a_set() -> list[TaskSpec]:
    frames = [(WIDE.frame("start", index),) for index in range(WIDE.count)]
    return [TaskSpec(FLOW, RUN, "body", task_id(f), 0, "root", foreach=f) for f in frames]


def test_of_an_array_each_task_without_a_result_is_settled_by_its_own_job(
    store: FlowDatastore, fake: FakeBatch
) -> None:
    specs = specs_of_a_set()
    store.write_specs("0.0", specs)
    for spec in (specs[4], specs[6]):
        succeed(store, spec)
    job(fake, "j:1", status="FAILED", statusReason="Host EC2 (instance i-1) terminated.")
    made = Job("j", store.specs_uri(RUN, "0.0", specs[0].ref) + "#4", size=4)
    assert settle(store, fake, made) == []
    found = [store.find_result(RUN, spec.ref) for spec in specs]
    errors = {
        spec.task: r.error.type for spec, r in zip(specs, found, strict=True) if r and r.error
    }
    assert errors == {
        "5": "flowsdk.aws_batch.HostTerminated",
        "7": "flowsdk.aws_batch.JobUnknown",
    }
    assert store.read_spec(RUN, specs[5].ref) == specs[5], "it says what the task follows"


@pytest.mark.parametrize("known", [True, False])
def test_an_array_that_ended_before_it_had_children_says_why(
    store: FlowDatastore, fake: FakeBatch, known: bool
) -> None:
    specs = specs_of_a_set()
    store.write_specs("0.0.0", specs)
    if known:
        job(fake, "j", status="FAILED", isTerminated=True, statusReason="by ada")
    made = Job("j", f"{store.specs_uri(RUN, '0.0.0', specs[0].ref)}#0", len(specs))
    settle(store, fake, made)
    name = "Terminated" if known else "JobUnknown"
    for spec in specs:
        error = store.read_result(RUN, spec.ref).error
        assert error is not None
        assert error.type.endswith(f".{name}")


def progress_of(
    store: FlowDatastore, step: str, tasks: list[Planned], attempt: int = 0
) -> Progress:
    def make(task: Planned, iteration: int) -> TaskSpec:
        name = task_id(task.foreach, iteration)
        return TaskSpec(FLOW, RUN, step, name, attempt, "root", foreach=task.foreach)

    made = Progress(store, graph_of(SampleFlow)[step], tasks, make)
    made.look(range(attempt + 1))
    return made


def test_success_of_one_task_leaves_its_record(store: FlowDatastore) -> None:
    ti = FakeTaskInstance("start")
    succeed(store, SPEC, next=("end",), batch_job="job-7")
    assert record_success(ti, store, progress_of(store, "start", [Planned()]), "0", 0) == 0
    record = TaskRecord.from_dict(ti.own(RECORD_KEY))
    assert (record.status, record.batch_job, record.count) == ("succeeded", "job-7", 1)
    assert record.result == store.result_uri(RUN, SPEC.ref)


def test_what_airflow_maps_over_is_told_with_the_size_of_its_chunks(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "5")
    ti = FakeTaskInstance("start")
    succeed(store, SPEC, next=("body",), splits=WIDE)
    progress = progress_of(store, "start", [Planned()])
    assert record_success(ti, store, progress, "0", 0, mapped=True) == 4
    assert TaskRecord.from_dict(ti.own(RECORD_KEY)).chunk == 3


def test_failure_of_one_task_leaves_its_record(store: FlowDatastore) -> None:
    ti = FakeTaskInstance("start")
    commit(store, SPEC, status="failed", error=USER)
    record_failure(ti, store, progress_of(store, "start", [Planned()]), "0", 0, "why")
    record = TaskRecord.from_dict(ti.own(RECORD_KEY))
    assert (record.status, record.task, record.count) == ("failed", "0", 1)
    assert record.result == store.result_uri(RUN, SPEC.ref)


def test_success_of_many_leaves_one_record_that_leads_to_their_outcomes(
    store: FlowDatastore,
) -> None:
    for spec in specs_of_a_set():
        succeed(store, spec, next=("join",))
    tasks = [Planned((), spec.foreach) for spec in specs_of_a_set()]
    ti = FakeTaskInstance("body")
    assert record_success(ti, store, progress_of(store, "body", tasks), "0", 3) == 0
    record = TaskRecord.from_dict(ti.own(RECORD_KEY))
    assert (record.count, record.status, record.attempt) == (12, "succeeded", 3)
    outcomes = store.read_set_outcome(str(record.outcome)).outcomes
    assert [outcome.ref.task for outcome in outcomes] == [str(index) for index in range(12)]
    assert outcomes[7].foreach == (WIDE.frame("start", 7),)
    assert outcomes[7].next == ("join",)


@pytest.mark.parametrize(
    ("error", "failures", "retry_times", "again"),
    [
        (USER, 1, 0, False),
        (USER, 1, 1, True),
        (USER, 2, 1, False),
        (SYSTEM, 1, 0, True),
        (SYSTEM, 2, 1, True),
        (LOST, 1, 0, False),
    ],
)
def test_who_may_try_again(
    store: FlowDatastore, error: ErrorInfo, failures: int, retry_times: int, again: bool
) -> None:
    for attempt in range(failures):
        spec = TaskSpec(FLOW, RUN, "start", "0", attempt, "root")
        commit(store, spec, status="failed", error=error)
    settings = StepSettings(retry_times=retry_times)
    raised = failure(progress_of(store, "start", [Planned()], failures - 1), settings)
    assert isinstance(raised, TaskFailed if again else AirflowFailException)
    failed = raised if again else raised.__cause__
    assert isinstance(failed, TaskFailed)
    assert (failed.kind, failed.type) == (error.kind, error.type)
    assert str(raised).endswith(error.message)


@pytest.mark.parametrize(
    ("error", "failures", "again"),
    [
        (USER, 1, False),  # its own job has had the chance to catch it
        (LOST, 1, True),
        (LOST, 2, False),
    ],
)
def test_what_is_lost_for_good_has_one_more_try_for_its_catch(
    store: FlowDatastore, error: ErrorInfo, failures: int, again: bool
) -> None:
    for attempt in range(failures):
        spec = TaskSpec(FLOW, RUN, "start", "0", attempt, "root")
        commit(store, spec, status="failed", error=error)
    progress = progress_of(store, "start", [Planned()], failures - 1)
    raised = failure(progress, StepSettings(catches=True))
    assert isinstance(raised, TaskFailed if again else AirflowFailException)
    if isinstance(raised, TaskFailed):
        assert raised.kind == "system", "nobody has to wait for it as for another try of the code"
        assert str(raised).endswith("The next try does what its @catch says.")


def test_builtin_errors_are_called_as_users_know_them(store: FlowDatastore) -> None:
    commit(store, SPEC, status="failed", error=USER)
    assert str(failure(progress_of(store, "start", [Planned()]), StepSettings())) == (
        f"Task SampleFlow/{RUN}/start/0 (attempt 0) failed: ValueError: no such digit"
    )


def test_of_many_failures_the_users_is_told_and_the_ends_of_a_few_logs(
    store: FlowDatastore,
) -> None:
    specs = specs_of_a_set()
    for spec in specs:
        writer = LogWriter(store, RUN, spec.ref)
        writer.add([LogLine(1, "stderr", f"line {n} of {spec.task}") for n in range(30)])
        writer.flush()
        if spec.task == "3":
            succeed(store, spec)
        else:
            error = USER if spec.task == "9" else SYSTEM
            commit(store, spec, status="failed", error=error)
    progress = progress_of(store, "body", [Planned((), spec.foreach) for spec in specs])
    raised = failure(progress, StepSettings())
    assert isinstance(raised, AirflowFailException)
    assert "11 of 12 tasks of step 'body' failed. Task SampleFlow" in str(raised)
    assert "body/9 (attempt 0) failed: ValueError: no such digit" in str(raised)
    shown: list[str] = []
    tell_failures(store, progress, shown.append, known=())
    assert shown[1] == "    line 10 of 0"
    assert shown[-1] == "11 tasks have failed; of 5 the log is shown above."
    assert len(shown) == 5 * 21 + 1
    shown.clear()
    tell_failures(store, progress, shown.append, known=["0", "1", "2"])
    assert len(shown) == 2 * 21 + 1, "what the trigger has told of is not told again"


@pytest.mark.parametrize(
    ("count", "limit", "chunk"), [(0, 1024, 1), (1024, 1024, 1), (1025, 1024, 2), (3000, 1024, 3)]
)
def test_a_foreach_wider_than_airflow_maps_is_mapped_in_chunks(
    count: int, limit: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", str(limit))
    assert chunk_size(count) == chunk
