from __future__ import annotations

from typing import Any

import pytest

from flowsdk.aws_batch.state import JobState, failure


def described(
    status: str = "FAILED", reason: str = "", reason_: str | None = None, **container: Any
) -> JobState:
    container["reason"] = reason_
    return JobState.of(
        {
            "jobId": "j",
            "jobName": "n",
            "status": status,
            "statusReason": reason,
            "container": container,
        }
    )


def test_a_description_in_full() -> None:
    state = JobState.of(
        {
            "jobId": "j",
            "jobName": "n",
            "jobQueue": "arn:q",
            "status": "FAILED",
            "statusReason": "Essential container in task exited",
            "createdAt": 1,
            "startedAt": 2,
            "stoppedAt": 3,
            "isTerminated": False,
            "attempts": [
                {"container": {"exitCode": 137, "logStreamName": "old"}},
                {"container": {"exitCode": 1, "reason": "Error", "logStreamName": "new"}},
            ],
            "container": {"resourceRequirements": [{"type": "VCPU", "value": "2"}]},
        }
    )
    assert state == JobState(
        id="j",
        name="n",
        status="FAILED",
        reason="Essential container in task exited",
        container_reason="Error",
        exit_code=1,
        log_stream="new",
        attempts=2,
        created_at=1,
        started_at=2,
        stopped_at=3,
        queue="arn:q",
        resources={"VCPU": "2"},
    )


def test_a_summary_and_the_parent_of_an_array() -> None:
    summary = {"jobId": "j", "jobName": "n", "status": "PENDING"}
    array = {"size": 3, "statusSummary": {"RUNNABLE": 0, "RUNNING": 2, "SUCCEEDED": 1}}
    state = JobState.of({**summary, "arrayProperties": array})
    assert state.active
    assert not state.finished
    assert state.children == {"RUNNING": 2, "SUCCEEDED": 1}
    assert state.exit_code is None


def test_a_job_nobody_knows_is_over() -> None:
    assert JobState("j").finished
    assert not JobState("j").succeeded


OOM = "OutOfMemoryError: Container killed due to memory usage"
PULL = "CannotPullContainerError: pull image manifest has been retried 5 time(s)"


@pytest.mark.parametrize(
    ("state", "kind", "name", "words"),
    [
        (described(reason="Host EC2 (instance i-1) terminated."), "interrupted", "HostTerminated", "host was taken"),
        (described(reason="Your Spot Task was interrupted."), "interrupted", "HostTerminated", "host was taken"),
        (described(exitCode=137, reason_=OOM), "user", "OutOfMemory", "@resources(memory="),
        (described(reason="Job attempt duration exceeded timeout"), "user", "TimedOut", "@timeout"),
        (described(reason_=PULL), "system", "CannotPullContainer", "retried 5 time"),
        (described(reason_="DockerTimeoutError: Could not transition"), "system", "DockerTimeout", "in time"),
        (described(exitCode=1), "system", "NoResult", "exit code 1 before"),
        (described(status="SUCCEEDED", exitCode=0), "system", "NoResult", "left no result"),
        (described(reason="no such role"), "system", "NotStarted", "AWS Batch says: no such role."),
        (JobState("j", status="FAILED", stopping=True, reason="by ada"), "system", "Terminated", "by ada"),
        (JobState("j"), "system", "JobUnknown", "does not know the job"),
    ],
)  # fmt: skip
def test_who_has_to_act(state: JobState, kind: str, name: str, words: str) -> None:
    error = failure(state)
    assert (error.kind, error.type) == (kind, f"flowsdk.aws_batch.{name}")
    assert words in error.message
    assert "(job j)" in error.message
