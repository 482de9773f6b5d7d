from __future__ import annotations

from dataclasses import replace

import pytest

from flowsdk.aws_batch import launcher as module
from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.launcher import BatchLauncher, defaults_from
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from flowsdk.flow import FlowSpec
from flowsdk.local.run import LocalRun, RunOptions
from flowsdk.runtime.logs import LogLine, LogWriter
from flowsdk.spec import ErrorInfo, Splits, TaskSpec
from tests.flowsdk.aws_batch.fakes import FakeBatch, commit, succeed


class Printed(list[str]):
    def __call__(self, _: TaskSpec, lines: list[LogLine]) -> None:
        self += [line.text for line in lines]


@pytest.fixture
def printed() -> Printed:
    return Printed()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(module, "_DESCRIBE_SECONDS", 0.0)


@pytest.fixture
def launcher(
    fake: FakeBatch, store: FlowDatastore, printed: Printed, defaults: BatchDefaults
) -> BatchLauncher:
    return BatchLauncher(store, printed, fake, defaults)


def test_configuration_comes_from_the_environment() -> None:
    given = {
        "FLOWSDK_BATCH_QUEUE": "q",
        "FLOWSDK_BATCH_IMAGE": "i",
        "FLOWSDK_BATCH_JOB_ROLE": "j",
        "FLOWSDK_BATCH_EXECUTION_ROLE": "e",
        "FLOWSDK_BATCH_GPU_QUEUES": '{"A10G": "g"}',
    }
    assert defaults_from(given) == BatchDefaults("q", "i", "j", "e", {"A10G": "g"})
    assert defaults_from({"FLOWSDK_BATCH_QUEUE": ""}) == BatchDefaults()


def test_what_aws_would_refuse_is_found_before_anything_runs(
    fake: FakeBatch, launcher: BatchLauncher
) -> None:
    fake.platform = "FARGATE"
    wrong = {
        "one": StepSettings(gpu=1, gpu_type="A10G"),
        "two": StepSettings(execution_role="r", privileged=True),
        "three": StepSettings(),
    }
    with pytest.raises(BatchError) as raised:
        launcher.check(wrong)
    one, two = str(raised.value).splitlines()
    assert "@resources (step 'one'): found gpu_type='A10G'" in one
    assert "@batch (step 'two'): found privileged, which Fargate has not, and queue 'q'" in two
    launcher.check({"three": StepSettings()})
    assert not fake.jobs


def test_a_task_has_ended_when_its_result_is_there(
    fake: FakeBatch,
    launcher: BatchLauncher,
    store: FlowDatastore,
    spec: TaskSpec,
    printed: Printed,
) -> None:
    assert launcher.launch([spec], StepSettings()) == ["Batch job job-0"]
    assert launcher.poll(0.01) == []
    assert len(launcher) == 1
    writer = LogWriter(store, spec.run, spec.ref)
    writer.add([LogLine(1, "stdout", "hello")])
    writer.flush()
    result = succeed(store, spec)
    assert launcher.poll(0.01) == [result]
    assert printed == ["hello"]
    assert len(launcher) == 0
    assert launcher.poll(0.01) == []


def test_a_job_that_dies_leaves_a_failed_result(
    fake: FakeBatch, launcher: BatchLauncher, store: FlowDatastore, spec: TaskSpec
) -> None:
    launcher.launch([spec], StepSettings())
    fake.change("job-0", "FAILED", statusReason="Host EC2 (instance i-1) terminated.")
    (result,) = launcher.poll(0.01)
    assert result.error is not None
    assert result.error.kind == "interrupted"
    assert store.read_result(spec.run, spec.ref) == result


def test_a_job_that_aws_forgets_fails_in_the_end(
    fake: FakeBatch, launcher: BatchLauncher, spec: TaskSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher.launch([spec], StepSettings())
    fake.jobs.clear()
    assert launcher.poll(0.01) == []
    monkeypatch.setattr(module, "_UNKNOWN_SECONDS", -1.0)
    (result,) = launcher.poll(0.01)
    assert result.error is not None
    assert result.error.type == "flowsdk.aws_batch.JobUnknown"


def test_the_container_log_of_a_job_that_never_came_to_our_code(
    fake: FakeBatch,
    launcher: BatchLauncher,
    spec: TaskSpec,
    printed: Printed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_client", lambda service: service)
    monkeypatch.setattr(module, "container_log", lambda client, stream: [client, stream])
    launcher.launch([spec], StepSettings())
    fake.change("job-0", "FAILED", container={"exitCode": 1, "logStreamName": "stream"})
    assert len(launcher.poll(0.01)) == 1
    assert printed == ["logs", "stream"]


def test_stopping_terminates_what_is_out_even_if_one_cannot(
    fake: FakeBatch, launcher: BatchLauncher, spec: TaskSpec, printed: Printed
) -> None:
    for task in "12":
        launcher.launch([replace(spec, task=task)], StepSettings())
    fake.fail("TerminateJob", "ServerException", "busy")
    launcher.stop("enough")
    assert "busy" in printed[0]
    assert "isTerminated" not in fake.jobs["job-0"]
    assert fake.jobs["job-1"]["isTerminated"]
    assert len(launcher) == 0


def test_without_a_queue_the_first_enabled_one_is_taken(
    fake: FakeBatch, store: FlowDatastore, printed: Printed, spec: TaskSpec
) -> None:
    launcher = BatchLauncher(store, printed, fake, BatchDefaults(image="i"))
    launcher.launch([spec], StepSettings())
    launcher.launch([replace(spec, task="4")], StepSettings())
    assert fake.jobs["job-1"]["request"]["jobQueue"] == "q"
    assert fake.calls["DescribeJobQueues"] == 1


def test_all_steps_of_a_run_share_one_launcher(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch, fake: FakeBatch
) -> None:
    """A launcher that has nothing out yet is empty, which must not be taken for none."""
    monkeypatch.setattr(module, "_client", lambda _: fake)
    run = LocalRun.__new__(LocalRun)
    run.store, run.options = store, RunOptions(store.storage.root)
    run.settings = {name: StepSettings(on_batch=True) for name in ("start", "end")}
    launchers = run._make_launchers(FlowSpec, lambda *_: None)
    assert isinstance(launchers["start"], BatchLauncher)
    assert launchers["start"] is launchers["end"]


def test_a_hiccup_of_aws_does_not_end_the_run(
    fake: FakeBatch, launcher: BatchLauncher, store: FlowDatastore, spec: TaskSpec, printed: Printed
) -> None:
    launcher.launch([spec], StepSettings())
    for _ in range(2):
        fake.fail("DescribeJobs", "ServerException", "try later")
        assert launcher.poll(0) == []
    assert len([line for line in printed if "Waiting for AWS" in line]) == 1
    assert launcher.poll(0) == []
    result = succeed(store, spec)
    assert launcher.poll(0) == [result]


def test_after_minutes_without_an_answer_the_run_gives_up(
    fake: FakeBatch, launcher: BatchLauncher, spec: TaskSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GIVE_UP_SECONDS", -1.0)
    launcher.launch([spec], StepSettings())
    fake.fail("DescribeJobs", "AccessDeniedException", "expired")
    with pytest.raises(BatchError, match="expired"):
        launcher.poll(0)


# -- gangs


@pytest.fixture
def gang(spec: TaskSpec) -> list[TaskSpec]:
    splits = Splits("", 3, "", ("0", "1", "2"))
    return [
        replace(spec, task=str(n), foreach=(splits.frame("start", n),)) for n in range(splits.count)
    ]


def test_the_tasks_of_a_gang_end_together_and_the_cause_comes_first(
    fake: FakeBatch, launcher: BatchLauncher, store: FlowDatastore, gang: list[TaskSpec]
) -> None:
    names = launcher.launch(gang, StepSettings())
    assert names == ["Batch job job-0#0", "Batch job job-0#1", "Batch job job-0#2"]
    main, failed, other = gang
    stopped = ErrorInfo("interrupted", "flowsdk.exception.Interrupted", "its gang has failed")
    first = commit(store, main, status="failed", error=stopped)
    assert launcher.poll(0.01) == []
    cause = ErrorInfo("user", "builtins.ValueError", "no")
    second = commit(store, failed, status="failed", error=cause)
    assert launcher.poll(0.01) == []
    assert len(launcher) == 3
    third = succeed(store, other)
    assert launcher.poll(0.01) == [second, first, third]
    assert len(launcher) == 0


def test_a_node_that_dies_fails_by_what_aws_says_of_it(
    fake: FakeBatch, launcher: BatchLauncher, store: FlowDatastore, gang: list[TaskSpec]
) -> None:
    launcher.launch(gang, StepSettings())
    for spec in gang[:2]:
        succeed(store, spec)
    reason = "OutOfMemoryError: Container killed due to memory usage"
    node = {"jobId": "job-0#2", "status": "RUNNING"}
    fake.jobs["job-0#2"] = node
    fake.change("job-0", "FAILED", statusReason="Essential container in task exited")
    assert launcher.poll(0.01) == []  # it is just being stopped
    node |= {"status": "FAILED", "container": {"exitCode": 137, "reason": reason}}
    failed, *_ = launcher.poll(0.01)
    assert failed.error
    assert (failed.task, failed.error.type) == ("2", "flowsdk.aws_batch.OutOfMemory")


def test_nodes_that_never_were_fail_by_what_aws_says_of_their_job(
    fake: FakeBatch, launcher: BatchLauncher, gang: list[TaskSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher.launch(gang, StepSettings())
    monkeypatch.setattr(module, "_UNKNOWN_SECONDS", -1.0)
    assert launcher.poll(0.01) == []  # it waits for hosts, and has no nodes yet
    fake.change("job-0", "FAILED", container={"reason": "CannotPullContainerError: no such image"})
    results = launcher.poll(0.01)
    assert [result.task for result in results] == ["0", "1", "2"]
    assert {r.error and r.error.type for r in results} == {"flowsdk.aws_batch.CannotPullContainer"}
    assert results[2].batch_job == "job-0#2"


@pytest.mark.parametrize("how", ["cancel", "stop"])
def test_a_gang_is_ended_as_a_whole(
    fake: FakeBatch, launcher: BatchLauncher, gang: list[TaskSpec], how: str
) -> None:
    launcher.launch(gang, StepSettings())
    if how == "stop":
        launcher.stop("enough")
        assert len(launcher) == 0
    else:
        launcher.cancel({gang[1].ref, gang[2].ref}, "enough")
    assert fake.calls["TerminateJob"] == 1
    assert fake.jobs["job-0"]["isTerminated"]


def test_results_are_not_lost_where_aws_does_not_answer(
    fake: FakeBatch, launcher: BatchLauncher, store: FlowDatastore, spec: TaskSpec
) -> None:
    launcher.launch([spec], StepSettings())
    launcher.launch([replace(spec, task="4")], StepSettings())
    result = succeed(store, spec)
    fake.fail("DescribeJobs", "ServerException", "busy")
    assert launcher.poll(0.01) == [result]
    assert len(launcher) == 1
