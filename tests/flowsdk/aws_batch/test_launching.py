from __future__ import annotations

from dataclasses import replace

import pytest

from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.launching import settle, submit_task
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from flowsdk.spec import TaskSpec
from tests.flowsdk.aws_batch.fakes import FakeBatch, succeed

FAILED = JobState("j", status="FAILED", exit_code=1, started_at=1_000, stopped_at=2_000)


def test_a_task_becomes_a_job(
    fake: FakeBatch, jobs: BatchJobs, store: FlowDatastore, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    job_id = submit_task(jobs, store, spec, StepSettings(), defaults, generation=2)
    request = fake.jobs[job_id]["request"]
    assert request["jobName"].startswith("MyFlow_train_")
    assert request["jobName"].endswith("-g2-0")
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
