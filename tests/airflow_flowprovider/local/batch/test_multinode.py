"""Multi-node parallel jobs, through boto3 against a server process."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.airflow_flowprovider.local.conftest import Jobs, wait_for

NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}]
CONTAINER = {"image": "python:3", "command": ["true"], "resourceRequirements": NEEDS}

TALK = """
echo "$AWS_BATCH_JOB_NODE_INDEX of $AWS_BATCH_JOB_NUM_NODES, main $AWS_BATCH_JOB_MAIN_NODE_INDEX \
at ${AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS:-here} $AWS_BATCH_JOB_ID"
"""


def register(jobs: Jobs, name: str = "nodes", targets: str = "0:", **properties: Any) -> None:
    node_range = {"targetNodes": targets, "container": CONTAINER}
    jobs.batch.register_job_definition(
        jobDefinitionName=name,
        type="multinode",
        nodeProperties={
            "numNodes": 2,
            "mainNode": 0,
            "nodeRangeProperties": [node_range],
            **properties,
        },
    )


def submit(jobs: Jobs, script: str, nodes: int = 3, **arguments: Any) -> str:
    overrides = {"targetNodes": "0:", "containerOverrides": {"command": ["sh", "-c", script]}}
    answer = jobs.batch.submit_job(
        jobName="gang",
        jobQueue=jobs.queue,
        jobDefinition="nodes",
        nodeOverrides={"numNodes": nodes, "nodePropertyOverrides": [overrides]},
        **arguments,
    )
    return str(answer["jobId"])


@pytest.fixture(scope="module", autouse=True)
def definition(jobs: Jobs) -> None:
    register(jobs)


def test_the_nodes_are_told_which_they_are_and_run_together(jobs: Jobs) -> None:
    job_id = submit(jobs, TALK + "trap 'exit 0' TERM; sleep 60 & wait")
    for index in range(3):
        jobs.reach(f"{job_id}#{index}", "RUNNING")
    lines = [
        wait_for(lambda index=index: jobs.lines(jobs.describe(f"{job_id}#{index}")))
        for index in range(3)
    ]
    address = lines[1][0].split()[6]
    assert [line for (line,) in lines] == [
        f"0 of 3, main 0 at here {job_id}#0",
        f"1 of 3, main 0 at {address} {job_id}#1",
        f"2 of 3, main 0 at {address} {job_id}#2",
    ]
    parent = jobs.describe(job_id)
    assert parent["status"] == "RUNNING"
    assert "container" not in parent
    assert (parent["nodeProperties"]["numNodes"], parent["nodeProperties"]["mainNode"]) == (3, 0)
    (node_range,) = parent["nodeProperties"]["nodeRangeProperties"]
    assert (node_range["targetNodes"], node_range["container"]["command"][0]) == ("0:", "sh")
    assert jobs.describe(f"{job_id}#0")["nodeDetails"] == {"nodeIndex": 0, "isMainNode": True}
    assert jobs.describe(f"{job_id}#2")["nodeDetails"] == {"nodeIndex": 2, "isMainNode": False}
    listed = jobs.batch.list_jobs(multiNodeJobId=job_id)["jobSummaryList"]
    assert [(job["jobId"], job["nodeProperties"]["nodeIndex"]) for job in listed] == [
        (f"{job_id}#{index}", index) for index in range(3)
    ]
    in_queue = jobs.batch.list_jobs(jobQueue=jobs.queue)["jobSummaryList"]
    assert [job["jobId"] for job in in_queue] == [job_id]
    assert in_queue[0]["nodeProperties"] == {"numNodes": 3}
    jobs.batch.terminate_job(jobId=job_id, reason="seen")
    ended = jobs.finish(job_id)
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "seen")
    assert {jobs.describe(f"{job_id}#{n}")["statusReason"] for n in range(3)} == {"seen"}


def test_the_main_node_decides_and_the_others_are_stopped(jobs: Jobs) -> None:
    script = "[ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || exec sleep 60; sleep 0.5; exit "
    good, bad = submit(jobs, script + "0"), submit(jobs, script + "4")
    succeeded, failed = jobs.finish(good), jobs.finish(bad)
    assert (succeeded["status"], failed["status"]) == ("SUCCEEDED", "FAILED")
    assert failed["attempts"][0]["container"]["exitCode"] == 4
    for job_id in (good, bad):
        assert jobs.describe(f"{job_id}#1")["status"] == "FAILED"
    assert jobs.describe(f"{good}#0")["status"] == "SUCCEEDED"


def test_a_node_that_fails_changes_nothing(jobs: Jobs) -> None:
    job_id = submit(jobs, "[ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || exit 3; sleep 1")
    assert jobs.finish(job_id)["status"] == "SUCCEEDED"
    assert jobs.describe(f"{job_id}#1")["container"]["exitCode"] == 3


def test_only_a_failed_main_node_is_retried_and_then_all_are(jobs: Jobs) -> None:
    script = "[ $AWS_BATCH_JOB_ATTEMPT = 2 ] || [ $AWS_BATCH_JOB_NODE_INDEX != 0 ]"
    job_id = submit(jobs, script, retryStrategy={"attempts": 3})
    job = jobs.finish(job_id)
    assert (job["status"], len(job["attempts"])) == ("SUCCEEDED", 2)
    assert [len(jobs.describe(f"{job_id}#{n}")["attempts"]) for n in range(3)] == [2, 2, 2]


def test_the_time_is_that_of_the_whole_job(jobs: Jobs) -> None:
    job_id = submit(jobs, "exec sleep 60", timeout={"attemptDurationSeconds": 1})
    assert jobs.finish(job_id)["statusReason"] == "Job attempt duration exceeded timeout"
    assert jobs.describe(f"{job_id}#1")["status"] == "FAILED"


def test_a_node_may_be_lost(jobs: Jobs) -> None:
    job_id = submit(jobs, "[ $AWS_BATCH_JOB_NODE_INDEX = 1 ] || exec sleep 2; exec sleep 60")
    arn = jobs.reach(f"{job_id}#1", "RUNNING")["jobArn"]
    reason = "Host EC2 (instance i-0abc) terminated."
    jobs.batch.tag_resource(resourceArn=arn, tags={"local-batch:interrupt": reason})
    assert jobs.finish(job_id)["status"] == "SUCCEEDED"
    assert jobs.describe(f"{job_id}#1")["statusReason"] == reason


def test_what_needs_more_than_there_is_waits_as_a_whole(jobs: Jobs) -> None:
    job_id = submit(jobs, "true", nodes=1000)
    reason = jobs.reach(job_id, "RUNNABLE")["statusReason"]
    assert reason.startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - ")
    assert jobs.describe(f"{job_id}#999")["status"] == "RUNNABLE"
    jobs.batch.terminate_job(jobId=job_id, reason="too many")
    assert jobs.describe(f"{job_id}#999")["status"] == "FAILED"


def test_a_range_inside_of_another_overrides_it(jobs: Jobs) -> None:
    def named(targets: str, name: str) -> dict[str, Any]:
        return {"targetNodes": targets, "container": {**CONTAINER, "command": ["echo", name]}}

    register(
        jobs, "nested", numNodes=3, nodeRangeProperties=[named("0:", "all"), named("1", "one")]
    )
    answer = jobs.batch.submit_job(jobName="n", jobQueue=jobs.queue, jobDefinition="nested")
    shown = jobs.describe(answer["jobId"] + "#1")["container"]["command"]
    assert shown == ["echo", "one"]
    assert jobs.describe(answer["jobId"] + "#2")["container"]["command"] == ["echo", "all"]
    jobs.finish(answer["jobId"])


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"targets": ":0"}, "Node ranges must account for all nodes, but node 1 is in none"),
        ({"targets": "0:2"}, "Target nodes 0:2 exceed the number of nodes 2"),
        ({"targets": "1:0"}, "Target nodes 1:0 are not a range of 2 nodes"),
        ({"targets": "all"}, "Target nodes all are not a range of 2 nodes"),
        ({"mainNode": 2}, "Main node index must be less than the number of nodes 2"),
        ({"numNodes": 1001}, "Number of nodes must be between 1 and 1000, but was 1001"),
        ({"nodeRangeProperties": []}, "Node properties should not be empty"),
        (
            {"nodeRangeProperties": [{"targetNodes": f"{n}:", "container": CONTAINER} for n in range(6)]},
            "Number of node ranges must be at most 5",
        ),
        (
            {"nodeRangeProperties": [{"targetNodes": "0:", "container": {}}]},
            "Container image should not be null or empty",
        ),
    ],
)  # fmt: skip
def test_definitions_that_are_refused(jobs: Jobs, properties: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=said):
        register(jobs, "refused", **properties)


def test_definitions_of_two_kinds_are_refused(jobs: Jobs) -> None:
    nodes = {
        "numNodes": 2,
        "mainNode": 0,
        "nodeRangeProperties": [{"targetNodes": "0:", "container": CONTAINER}],
    }
    for more, said in (
        ({"type": "multinode", "platformCapabilities": ["FARGATE"]}, "not supported on Fargate"),
        ({"type": "multinode", "containerProperties": CONTAINER}, "should not be set"),
        ({"type": "container", "containerProperties": CONTAINER}, "should not be set"),
    ):
        with pytest.raises(ClientError, match=said):
            jobs.batch.register_job_definition(
                jobDefinitionName="refused", nodeProperties=nodes, **more
            )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"arrayProperties": {"size": 2}}, "Array properties should not be set"),
        ({"containerOverrides": {"command": ["true"]}}, "Container overrides should not be set"),
        (
            {"nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "0:0"}]}},
            "NodeOverride targets should match job definition. Non matching targets - 0:0",
        ),
        ({"nodeOverrides": {"numNodes": 0}}, "Number of nodes must be between 1 and 1000"),
        ({"jobDefinition": "fixed", "nodeOverrides": {"numNodes": 3}}, "only with an open node range"),
        ({"jobDefinition": "shell", "nodeOverrides": {"numNodes": 3}}, "Node overrides should not be"),
    ],
)  # fmt: skip
def test_jobs_that_are_refused(jobs: Jobs, arguments: dict[str, Any], said: str) -> None:
    register(jobs, "fixed", targets="0:1")
    with pytest.raises(ClientError, match=said):
        jobs.batch.submit_job(
            **{"jobName": "x", "jobQueue": jobs.queue, "jobDefinition": "nodes", **arguments}
        )


def test_a_node_cannot_be_given_too_long_overrides(jobs: Jobs) -> None:
    job_id = submit(jobs, ": " + "x" * 9000)
    assert "8192" in jobs.finish(job_id)["statusReason"]
    assert jobs.describe(f"{job_id}#1")["status"] == "FAILED"
