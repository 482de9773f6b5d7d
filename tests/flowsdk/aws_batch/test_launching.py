from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowsdk.aws_batch import launching
from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.launching import in_jobs, settle, submit_gang, submit_task
from flowsdk.aws_batch.names import job_name
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from flowsdk.runtime.loader import read_spec
from flowsdk.spec import Splits, TaskSpec
from tests.flowsdk.aws_batch.fakes import FakeBatch, succeed

FAILED = JobState("j", status="FAILED", exit_code=1, started_at=1_000, stopped_at=2_000)


def test_a_task_becomes_a_job(
    fake: FakeBatch, jobs: BatchJobs, store: FlowDatastore, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    job_id = submit_task(jobs, store, spec, StepSettings(), defaults)
    request = fake.jobs[job_id]["request"]
    assert request["jobName"].startswith("MyFlow_train_")
    assert request["jobName"].endswith("-g0-0")
    assert request["containerOverrides"]["command"][-1] == store.spec_uri(spec.run, spec.ref)
    assert fake.calls["DescribeJobQueues"] == 0


@pytest.mark.parametrize("platform", ["FARGATE", "EC2"])
def test_the_platform_matters_where_there_is_an_execution_role(
    fake: FakeBatch,
    jobs: BatchJobs,
    store: FlowDatastore,
    spec: TaskSpec,
    defaults: BatchDefaults,
    platform: str,
) -> None:
    fake.platform = platform
    defaults = replace(defaults, execution_role="arn:role")
    submit_task(jobs, store, spec, StepSettings(), defaults)
    (definition,) = fake.definitions.values()
    assert definition["platformCapabilities"] == [platform]


def in_gang(spec: TaskSpec, count: int, outer: int) -> list[TaskSpec]:
    frames = [Splits("", count, "", ("x",) * count).frame("split", n) for n in range(count)]
    return [replace(spec, task=f"{outer}-{f.index}", foreach=(f,)) for f in frames]


def test_a_gang_becomes_a_job_whose_nodes_find_their_specs(
    fake: FakeBatch,
    jobs: BatchJobs,
    store: FlowDatastore,
    spec: TaskSpec,
    defaults: BatchDefaults,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs = in_gang(spec, 3, 7)
    settings = StepSettings(timeout_seconds=600, gang=True)
    job_id = submit_gang(jobs, store, specs, settings, defaults)
    request = fake.jobs[job_id]["request"]
    assert request["jobName"] == job_name("MyFlow", "run-1", "train", "7-0", 0)
    assert "containerOverrides" not in request
    (overrides,) = request["nodeOverrides"]["nodePropertyOverrides"]
    uri = overrides["containerOverrides"]["command"][-1]

    def get(place: str, Range: str) -> bytes:
        start, _, end = Range.removeprefix("bytes=").partition("-")
        return Path(place).read_bytes()[int(start) : int(end) + 1]

    for index, own in enumerate(specs):
        monkeypatch.setenv("AWS_BATCH_JOB_NODE_INDEX", str(index))
        assert read_spec(uri, get) == own.to_json()
    # A lost host would run the gang again in the same attempt, of which some have results.
    reasons = [c.get("onStatusReason") for c in request["retryStrategy"]["evaluateOnExit"]]
    assert not any(reasons)
    assert request["timeout"]["attemptDurationSeconds"] == 600 + 30 + 1800


def test_definitions_of_gangs_differ_by_what_their_containers_need_only(
    fake: FakeBatch, jobs: BatchJobs, store: FlowDatastore, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    submit_task(jobs, store, spec, StepSettings(), defaults)
    for count in (2, 3):
        submit_gang(jobs, store, in_gang(spec, count, count), StepSettings(), defaults)
    assert [d["type"] for d in fake.definitions.values()] == ["container", "multinode"]
    submit_gang(jobs, store, in_gang(spec, 2, 9), StepSettings(image="other"), defaults)
    assert len(fake.definitions) == 3


def test_no_gang_is_submitted_to_fargate(
    fake: FakeBatch, jobs: BatchJobs, store: FlowDatastore, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    fake.platform = "FARGATE"
    settings = StepSettings(gang=True, execution_role="arn:role")
    with pytest.raises(BatchError, match="@parallel .*a multi-node job, which Fargate has not"):
        submit_gang(jobs, store, in_gang(spec, 2, 0), settings, defaults)
    assert not fake.jobs


def test_tasks_are_put_together_in_jobs(spec: TaskSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "MAX_ARRAY", 2)
    pair, single = in_gang(spec, 2, 0), in_gang(spec, 1, 1)
    plain = [replace(spec, task=str(n)) for n in range(5)]
    tasks = [*pair, *single, *pair, *pair, *plain]
    assert [(r.start, r.stop) for r in in_jobs(tasks)] == [
        (0, 2),
        (2, 3),
        (3, 5),
        (5, 7),
        (7, 9),
        (9, 11),
        (11, 12),
    ]
    assert in_jobs([]) == []


def test_a_job_without_a_result_gets_one_that_says_why(
    store: FlowDatastore, spec: TaskSpec
) -> None:
    result = settle(store, spec, FAILED)
    assert result == store.read_result(spec.run, spec.ref)
    assert result.error is not None
    assert result.error.type == "flowsdk.aws_batch.NoResult"
    assert result.batch_job == "j"
    assert result.started_at == "1970-01-01T00:00:01+00:00"
    assert result.finished_at == "1970-01-01T00:00:02+00:00"


def test_the_jobs_own_result_wins(store: FlowDatastore, spec: TaskSpec) -> None:
    own = succeed(store, spec)
    assert settle(store, spec, FAILED) == own


def test_a_result_that_comes_at_the_same_moment_wins_too(
    store: FlowDatastore, spec: TaskSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = store.find_result

    def find_and_let_the_job_commit(*args: object) -> None:
        assert find(spec.run, spec.ref) is None
        succeed(store, spec)

    monkeypatch.setattr(store, "find_result", find_and_let_the_job_commit)
    assert settle(store, spec, FAILED).succeeded


def test_nothing_is_submitted_without_an_image(
    fake: FakeBatch, jobs: BatchJobs, store: FlowDatastore, spec: TaskSpec
) -> None:
    with pytest.raises(BatchError, match="Container image"):
        submit_task(jobs, store, spec, StepSettings(), BatchDefaults(queue="q"))
    assert not fake.calls
