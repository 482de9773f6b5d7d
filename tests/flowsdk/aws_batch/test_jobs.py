from __future__ import annotations

from dataclasses import replace

import pytest
from botocore.exceptions import EndpointConnectionError

from flowsdk.aws_batch.definition import BatchDefaults, job_definition
from flowsdk.aws_batch.jobs import BatchJobs, BatchThrottled
from flowsdk.aws_batch.submission import submission
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from flowsdk.spec import TaskSpec
from tests.flowsdk.aws_batch.fakes import FakeBatch, client_error


def submit(jobs: BatchJobs, spec: TaskSpec, defaults: BatchDefaults, name: str = "n") -> str:
    settings = StepSettings()
    definition = job_definition("s", settings, defaults)
    made = submission(name, definition["jobDefinitionName"], spec, "s3://b/k", settings, defaults)
    return jobs.submit(made, definition)


def test_a_definition_is_registered_once_and_only_if_missing(
    fake: FakeBatch, jobs: BatchJobs, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    ids = [submit(jobs, spec, defaults) for _ in range(3)]
    assert ids == ["job-0", "job-1", "job-2"]
    assert fake.calls == {"SubmitJob": 4, "RegisterJobDefinition": 1}
    submit(jobs, spec, replace(defaults, image="other"))
    assert fake.calls["RegisterJobDefinition"] == 2


def test_other_refusals_register_nothing(
    fake: FakeBatch, jobs: BatchJobs, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    fake.fail("SubmitJob", "ClientException", "Job queue q is disabled")
    with pytest.raises(BatchError, match=r"SubmitJob \(ClientException\): Job queue q is disabled"):
        submit(jobs, spec, defaults)
    assert fake.calls == {"SubmitJob": 1}


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr("flowsdk.aws_batch.jobs.time.sleep", taken.append)
    return taken


def test_a_job_whose_submission_was_not_answered_is_found_not_submitted_again(
    fake: FakeBatch, jobs: BatchJobs, spec: TaskSpec, defaults: BatchDefaults, naps: list[float]
) -> None:
    submit(jobs, spec, defaults, "first")
    fake.lose_answer("SubmitJob")
    assert submit(jobs, spec, defaults, "second") == "job-1"
    assert fake.names() == ["first", "second"]
    assert naps == [1.0]


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://batch"),
        client_error("SubmitJob", "ServerException", "oops", 500),
    ],
    ids=["not sent", "failed in AWS"],
)
def test_a_submission_that_made_no_job_is_repeated(
    fake: FakeBatch,
    jobs: BatchJobs,
    spec: TaskSpec,
    defaults: BatchDefaults,
    naps: list[float],
    error: Exception,
) -> None:
    submit(jobs, spec, defaults, "first")
    fake.errors["SubmitJob"] = [error, error]
    assert submit(jobs, spec, defaults, "second") == "job-1"
    assert fake.names() == ["first", "second"]


def test_a_throttled_submission_waits_longer_and_longer_and_looks_for_nothing(
    fake: FakeBatch, jobs: BatchJobs, spec: TaskSpec, defaults: BatchDefaults, naps: list[float]
) -> None:
    submit(jobs, spec, defaults)
    for _ in range(3):
        fake.fail("SubmitJob", "TooManyRequestsException")
    submit(jobs, spec, defaults)
    assert naps == sorted(naps)
    assert len(naps) == 3
    assert fake.calls["ListJobs"] == 0
    fake.errors["SubmitJob"] = [client_error("SubmitJob", "ThrottlingException", "no")] * 7
    with pytest.raises(BatchThrottled):
        submit(jobs, spec, defaults)


def test_submissions_go_through_the_client_that_repeats_nothing(
    fake: FakeBatch, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    other, made = FakeBatch(), []
    other.definitions = fake.definitions
    jobs = BatchJobs(fake, lambda: made.append(1) or other)
    assert not made
    submit(jobs, spec, replace(defaults, image="i"), "a")
    submit(jobs, spec, replace(defaults, image="i"), "b")
    assert other.names() == ["a", "b"]
    assert made == [1]
    assert fake.calls == {"RegisterJobDefinition": 1}


def test_jobs_are_found_by_the_exact_beginning_of_their_names(
    fake: FakeBatch, jobs: BatchJobs, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    for name in ("Flow_a-g0-0", "flow_a-g0-1", "Flow_a-g0-2", "Flow_a-g1-3"):
        submit(jobs, spec, defaults, name)
    found = jobs.find("q", "Flow_a-g0-")
    assert [state.name for state in found] == ["Flow_a-g0-2", "Flow_a-g0-0"]


def test_a_request_describes_a_hundred_jobs(
    fake: FakeBatch, jobs: BatchJobs, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    ids = [submit(jobs, spec, defaults) for _ in range(201)]
    fake.calls.clear()
    states = jobs.describe([*ids, *ids, "unknown"])
    assert set(states) == set(ids)
    assert fake.calls == {"DescribeJobs": 3}


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ThrottlingException"])
def test_throttling_has_an_error_of_its_own(fake: FakeBatch, jobs: BatchJobs, code: str) -> None:
    fake.fail("DescribeJobs", code)
    with pytest.raises(BatchThrottled):
        jobs.describe(["j"])


def test_an_unreachable_aws_is_an_error_of_ours(fake: FakeBatch, jobs: BatchJobs) -> None:
    fake.errors["DescribeJobs"] = [EndpointConnectionError(endpoint_url="http://x")]
    with pytest.raises(BatchError, match="DescribeJobs failed: Could not connect"):
        jobs.describe(["j"])


def test_a_long_reason_is_cut_to_what_aws_takes(
    fake: FakeBatch, jobs: BatchJobs, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    job_id = submit(jobs, spec, defaults)
    jobs.terminate(job_id, "x" * 5000)
    assert jobs.describe([job_id])[job_id].stopping


def test_the_first_enabled_queue(fake: FakeBatch, jobs: BatchJobs) -> None:
    fake.queues = [
        {"jobQueueName": "a", "state": "DISABLED"},
        {"jobQueueName": "c", "state": "ENABLED"},
        {"jobQueueName": "b", "state": "ENABLED"},
    ]
    assert jobs.first_enabled_queue() == "b"
    fake.queues = fake.queues[:1]
    with pytest.raises(
        BatchError, match="found 1 in this account and region, none of them enabled"
    ):
        jobs.first_enabled_queue()


def test_the_state_of_a_queue_in_words(fake: FakeBatch, jobs: BatchJobs) -> None:
    assert jobs.describe_queue("q") == "ENABLED, VALID; compute environment e: EC2"
    assert jobs.describe_queue("gone") == "not found"


def test_the_children_of_an_array_in_a_state(fake: FakeBatch, jobs: BatchJobs) -> None:
    for index, status in enumerate(("FAILED", "RUNNING", "FAILED")):
        container = {"exitCode": 1, "logStreamName": "s"}
        fake.jobs[f"a:{index}"] = {"jobId": f"a:{index}", "status": status, "container": container}
    found = jobs.children("a", "FAILED")
    assert [(child.id, child.exit_code) for child in found] == [("a:0", 1), ("a:2", 1)]


@pytest.mark.parametrize(
    ("type_", "platform"), [("FARGATE_SPOT", "FARGATE"), ("SPOT", "EC2"), ("EC2", "EC2")]
)
def test_what_a_queue_runs_on_is_asked_once(
    fake: FakeBatch, jobs: BatchJobs, type_: str, platform: str
) -> None:
    fake.platform = type_
    assert [jobs.platform("q"), jobs.platform("q")] == [platform] * 2
    assert fake.calls["DescribeComputeEnvironments"] == 1
