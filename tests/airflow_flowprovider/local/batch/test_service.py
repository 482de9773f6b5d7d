"""Listing, paging and refusals, through boto3 against a server process."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.airflow_flowprovider.local.conftest import Jobs


@pytest.fixture(scope="module")
def finished(jobs: Jobs) -> list[str]:
    """Names of five finished jobs, oldest first: four that succeeded and one that failed."""
    names = [f"List-{uuid.uuid4().hex[:8]}-{n}" for n in range(5)]
    ids = [jobs.submit(name, "exit 1" if n == 4 else "true") for n, name in enumerate(names)]
    for job_id in ids:
        jobs.finish(job_id)
    return names


def _names(answer: dict[str, Any]) -> list[str]:
    return [job["jobName"] for job in answer["jobSummaryList"]]


def _by_name(value: str) -> list[dict[str, Any]]:
    return [{"name": "JOB_NAME", "values": [value]}]


def test_list_shows_running_jobs_unless_asked_otherwise(jobs: Jobs) -> None:
    job_id = jobs.submit("runs", "sleep 60")
    jobs.reach(job_id, "RUNNING")
    listed = jobs.batch.list_jobs(jobQueue=jobs.queue)
    assert _names(listed) == ["runs"]
    assert jobs.batch.list_jobs(jobQueue=jobs.queue, jobStatus="STARTING")["jobSummaryList"] == []
    jobs.batch.terminate_job(jobId=job_id, reason="listed")
    jobs.finish(job_id)


def test_a_name_filter_finds_every_state_newest_first_in_any_case(
    jobs: Jobs, finished: list[str]
) -> None:
    exact = jobs.batch.list_jobs(jobQueue=jobs.queue, filters=_by_name(finished[4].upper()))
    assert _names(exact) == [finished[4]]
    assert exact["jobSummaryList"][0]["container"]["exitCode"] == 1
    for name in finished:
        found = jobs.batch.list_jobs(jobQueue=jobs.queue, filters=_by_name(name[:-2] + "*"))
        assert name in _names(found)


def test_a_trailing_star_is_the_only_wildcard(jobs: Jobs, finished: list[str]) -> None:
    found = jobs.batch.list_jobs(jobQueue=jobs.queue, filters=_by_name("List-*"))
    assert _names(found) == finished[::-1]
    assert _names(jobs.batch.list_jobs(jobQueue=jobs.queue, filters=_by_name("*-1"))) == []


def test_pages_hold_what_was_asked_for_and_lose_nothing(jobs: Jobs, finished: list[str]) -> None:
    first = jobs.batch.list_jobs(jobQueue=jobs.queue, filters=_by_name("List-*"), maxResults=2)
    jobs.finish(jobs.submit("List-late", "true"))  # arrives on top: moves what follows
    names = _names(first)
    token = first["nextToken"]
    while token:
        page = jobs.batch.list_jobs(
            jobQueue=jobs.queue, filters=_by_name("List-*"), maxResults=2, nextToken=token
        )
        assert len(_names(page)) <= 2
        names += _names(page)
        token = page.get("nextToken")
    assert names == finished[::-1]


def test_the_paginator_of_boto3_reads_all_children(jobs: Jobs) -> None:
    job_id = jobs.submit("children", "true", arrayProperties={"size": 7})
    jobs.finish(job_id)
    pages = jobs.batch.get_paginator("list_jobs").paginate(
        arrayJobId=job_id, jobStatus="SUCCEEDED", PaginationConfig={"PageSize": 3}
    )
    listed = [page["jobSummaryList"] for page in pages]
    assert [len(page) for page in listed] == [3, 3, 1]
    indices = [job["arrayProperties"]["index"] for page in listed for job in page]
    assert indices == list(range(7))


def test_revisions_of_a_job_definition(jobs: Jobs) -> None:
    arns = [jobs.register("revised", container={"image": f"python:{n}"}) for n in (1, 2, 3)]
    jobs.batch.deregister_job_definition(jobDefinition=arns[2])
    described = jobs.batch.describe_job_definitions(jobDefinitionName="revised", status="ACTIVE")
    assert [d["revision"] for d in described["jobDefinitions"]] == [1, 2]
    by_arn = jobs.batch.describe_job_definitions(jobDefinitions=[arns[2]])["jobDefinitions"]
    assert (by_arn[0]["status"], by_arn[0]["containerProperties"]["image"]) == (
        "INACTIVE",
        "python:3",
    )
    job = jobs.run("latest", ["true"], jobDefinition="revised")  # the latest that is active
    assert job["jobDefinition"] == arns[1]
    with pytest.raises(ClientError, match="does not exist or is not in ACTIVE status"):
        jobs.submit("gone", jobDefinition="revised:3")


def _env(name: str, length: int = 1) -> dict[str, Any]:
    return {"containerOverrides": {"environment": [{"name": name, "value": "x" * length}]}}


def _exits(count: int) -> dict[str, Any]:
    return {"attempts": 2, "evaluateOnExit": [{"action": "RETRY", "onExitCode": "1"}] * count}


def _needs(kind: str, value: str) -> dict[str, Any]:
    return {"containerOverrides": {"resourceRequirements": [{"type": kind, "value": value}]}}


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ({"name": "-starts-wrong"}, "Job name should match valid pattern"),
        ({"name": "x" * 129}, "Job name should match valid pattern"),
        ({"arrayProperties": {"size": 1}}, "between 2 and 10000, but was 1"),
        ({"arrayProperties": {"size": 10_001}}, "between 2 and 10000, but was 10001"),
        (_env("BIG", 31_000), "Job size must be less than 30 KiB, got 31 KiB"),
        (_env("AWS_BATCH_X"), "AWS_BATCH_X must not start with AWS_BATCH"),
        ({"retryStrategy": {"attempts": 0}}, "RetryAttempts must be between 1 and 10"),
        ({"retryStrategy": {"attempts": 11}}, "RetryAttempts must be between 1 and 10"),
        ({"retryStrategy": _exits(6)}, "EvaluateOnExit must have at most 5 items"),
        (
            {"retryStrategy": {"evaluateOnExit": []}},
            "RetryAttempts must be provided with retry strategy",
        ),
        ({"timeout": {"attemptDurationSeconds": 0}}, "must be at least 1 seconds"),
        ({"dependsOn": [{"jobId": "nope"}]}, "Job nope does not exist"),
        ({"dependsOn": [{"jobId": "x"}] * 21}, "at most 20 jobs"),
        ({"dependsOn": [{"type": "SEQUENTIAL"}]}, "for array jobs only"),
        ({"jobQueue": "nowhere"}, "JobQueue nowhere not found."),
        ({"jobDefinition": "nothing"}, "JobDefinition name nothing does not exist"),
        (_needs("VCPU", "0.5"), "vCPU must be a whole number"),
        (_needs("MEMORY", "3"), "Memory must be at least 4 MiB"),
        (
            {"containerOverrides": {"instanceType": "p3.2xlarge"}},
            "instanceType is not applicable for single-node jobs",
        ),
    ],
)
def test_submit_is_refused_as_aws_refuses_it(
    jobs: Jobs, arguments: dict[str, Any], refusal: str
) -> None:
    with pytest.raises(ClientError) as caught:
        jobs.submit(**{"name": "refused", **arguments})
    error = caught.value.response["Error"]
    assert error["Code"] == "ClientException"
    assert error["Message"].startswith("Error executing request, Exception : ")
    assert refusal in error["Message"]


FARGATE = {"platformCapabilities": ["FARGATE"]}


def _fargate(vcpus: str, memory: str, **more: Any) -> dict[str, Any]:
    needs = [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": memory}]
    role = {"executionRoleArn": "arn:aws:iam::123456789012:role/flows-execution"}
    return {**FARGATE, "container": {"resourceRequirements": needs, **role, **more}}


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (_fargate("0.25", "4096"), "Fargate resource requirements (0.25 vCPU, 4096 MiB) not valid"),
        (_fargate("3", "8192"), "(3.00 vCPU, 8192 MiB) not valid"),
        (_fargate("1", "2048", privileged=True), "privileged not applicable for Fargate"),
        ({**FARGATE}, "executionRoleArn is required for Fargate"),
        ({"container": {"resourceRequirements": []}}, "vCPU is not provided."),
        ({"container": {"networkConfiguration": {"assignPublicIp": "ENABLED"}}}, "for EC2"),
        ({"image": ""}, "Container image should not be null or empty"),
        ({"name": "has space"}, "JobDefinitionName should match valid pattern"),
        ({"parameters": {"big": "x" * 25_000}}, "must be less than 24 KiB, got 25 KiB"),
    ],
)
def test_a_job_definition_is_refused_as_aws_refuses_it(
    jobs: Jobs, arguments: dict[str, Any], refusal: str
) -> None:
    with pytest.raises(ClientError) as caught:
        jobs.register(**{"name": "refused", **arguments})
    assert caught.value.response["Error"]["Code"] == "ClientException"
    assert refusal in caught.value.response["Error"]["Message"]


def test_a_valid_fargate_definition_is_accepted(jobs: Jobs) -> None:
    assert jobs.register("fargate", **_fargate("0.25", "512")).endswith(":job-definition/fargate:1")


def test_describe_takes_a_hundred_ids_and_leaves_unknown_ones_out(jobs: Jobs) -> None:
    assert jobs.batch.describe_jobs(jobs=["unknown"] * 100)["jobs"] == []
    with pytest.raises(ClientError, match="Maximum number of jobs supported is 100"):
        jobs.batch.describe_jobs(jobs=["unknown"] * 101)


def test_overrides_beyond_the_limit_of_ecs_fail_the_job(jobs: Jobs) -> None:
    job = jobs.finish(jobs.submit("long", **_env("LONG", 9000)))
    assert job["status"] == "FAILED"
    assert job["statusReason"] == "Container Overrides length must be at most 8192"


def test_a_job_too_large_for_its_queue_stays_runnable_until_it_is_cancelled(jobs: Jobs) -> None:
    job_id = jobs.submit("huge", **_needs("VCPU", "64"))
    job = jobs.reach(job_id, "RUNNABLE")
    assert job["statusReason"].startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - ")
    assert jobs.run("small", ["true"])["status"] == "SUCCEEDED"  # it does not stand in the way
    jobs.batch.cancel_job(jobId=job_id, reason="too large")
    job = jobs.finish(job_id)
    assert (job["status"], job["statusReason"], job["isCancelled"]) == ("FAILED", "too large", True)


def test_a_queue_must_be_enabled_and_a_fair_share_queue_wants_an_identifier(jobs: Jobs) -> None:
    policy = jobs.batch.create_scheduling_policy(name="shares", fairsharePolicy={})["arn"]
    # Other tests add some of their own.
    environment, *_ = jobs.batch.describe_compute_environments()["computeEnvironments"]
    order = [{"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}]
    for name, more in (("off", {"state": "DISABLED"}), ("fair", {"schedulingPolicyArn": policy})):
        arguments = {"priority": 1, "computeEnvironmentOrder": order, "state": "ENABLED", **more}
        jobs.batch.create_job_queue(jobQueueName=name, **arguments)
    with pytest.raises(ClientError, match="JobQueue off is not in ENABLED state"):
        jobs.submit("refused", ["true"], jobQueue="off")
    with pytest.raises(ClientError, match="shareIdentifier must be specified"):
        jobs.submit("refused", ["true"], jobQueue="fair")
    with pytest.raises(ClientError, match="shareIdentifier is not applicable"):
        jobs.submit("refused", ["true"], shareIdentifier="team")
    share = {"jobQueue": "fair", "shareIdentifier": "team"}
    with pytest.raises(ClientError, match="priority must be between 0 and 9999, but was 10000"):
        jobs.submit("refused", ["true"], **share, schedulingPriorityOverride=10_000)
    job_id = jobs.submit("shared", ["true"], **share, schedulingPriorityOverride=9_999)
    assert jobs.finish(job_id)["status"] == "SUCCEEDED"
