"""What AWS Batch says of a job, and what that means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowsdk.exception import Kind
from flowsdk.spec import LOSS, ErrorInfo

#: In the order in which a job goes through them.
ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
FINISHED = ("SUCCEEDED", "FAILED")
#: Status of a job that AWS no longer knows: it forgets finished ones after a day or so.
UNKNOWN = "UNKNOWN"
#: How the reason begins if a host is gone: of EC2, and of Fargate's spot capacity.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
HOST_LOST = ("Host EC2", "Your Spot Task was interrupted")


@dataclass(frozen=True)
class JobState:
    """A job at one moment. Times are in milliseconds since 1970, as AWS gives them.

    Attributes:
        id: Of the job.
        name: Of the job.
        status: One of ``ACTIVE`` and ``FINISHED``, or ``UNKNOWN``. The parent of an array is
            PENDING while its children run.
        reason: ``statusReason``: why the job as a whole is where it is.
        container_reason: Why its container ended, e.g. ``OutOfMemoryError: …``.
        exit_code: Of the container; None until it has ended.
        log_stream: In CloudWatch; None until the container starts.
        attempts: How many attempts of Batch's own have ended.
        created_at: When it was submitted.
        started_at: When its container started, or None.
        stopped_at: When it ended, or None.
        stopping: Whether somebody has asked Batch to end it.
        queue: Name or ARN of its job queue.
        resources: What it asks for, e.g. ``{"VCPU": "2", "MEMORY": "4096"}``.
        children: Of the parent of an array: number of children by status, where there are any.
        tags: As given when it was submitted; empty where only a summary was asked for.
    """

    id: str
    name: str = ""
    status: str = UNKNOWN
    reason: str = ""
    container_reason: str = ""
    exit_code: int | None = None
    log_stream: str | None = None
    attempts: int = 0
    created_at: int | None = None
    started_at: int | None = None
    stopped_at: int | None = None
    stopping: bool = False
    queue: str = ""
    resources: Mapping[str, str] = field(default_factory=dict)
    children: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it may still run."""
        return self.status in ACTIVE

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return not self.active

    @property
    def succeeded(self) -> bool:
        """Whether its container ended with exit code 0. That a task succeeded its result says."""
        return self.status == "SUCCEEDED"

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> JobState:
        """From a job as ListJobs or DescribeJobs show it; the former shows less."""
        # Of a multi-node job all nodes are alike; what became of the main one is in the attempts.
        nodes = (job.get("nodeProperties") or {}).get("nodeRangeProperties") or [{}]
        container = job.get("container") or nodes[0].get("container") or {}
        attempts = job.get("attempts") or []
        last = (attempts[-1].get("container") or {}) if attempts else {}
        requirements = container.get("resourceRequirements") or []
        summary = (job.get("arrayProperties") or {}).get("statusSummary") or {}
        return cls(
            id=job["jobId"],
            name=job.get("jobName", ""),
            status=job["status"],
            reason=job.get("statusReason") or "",
            container_reason=container.get("reason") or last.get("reason") or "",
            exit_code=container.get("exitCode", last.get("exitCode")),
            log_stream=container.get("logStreamName") or last.get("logStreamName"),
            attempts=len(attempts),
            created_at=job.get("createdAt"),
            started_at=job.get("startedAt"),
            stopped_at=job.get("stoppedAt"),
            stopping=bool(job.get("isTerminated") or job.get("isCancelled")),
            queue=job.get("jobQueue", ""),
            resources={entry["type"]: entry["value"] for entry in requirements},
            children={status: count for status, count in summary.items() if count},
            tags=job.get("tags") or {},
        )


def failure(state: JobState) -> ErrorInfo:
    """Why the job of an attempt that left no result has ended, and who has to act.

    Args:
        state: Of a finished job.
    """
    kind, name, message = _cause(state)
    told = "; ".join(text for text in (state.reason, state.container_reason) if text)
    said = f" AWS Batch says: {told.rstrip('.')}." if told else ""
    return ErrorInfo(kind, f"{LOSS}{name}", f"{message} (job {state.id}).{said}")


def _cause(state: JobState) -> tuple[Kind, str, str]:
    reason, container = state.reason, state.container_reason
    if state.status == UNKNOWN:
        return "system", "JobUnknown", "AWS Batch does not know the job and it left no result"
    if reason.startswith(HOST_LOST):
        return "interrupted", "HostTerminated", "The host was taken away while the task ran"
    if "OutOfMemory" in container:
        message = (
            "The task ran out of memory. Ask for more with @resources(memory=…), or let retries do so "
            "with @retry(on_oom=1.5)"
        )
        return "user", "OutOfMemory", message
    if "attempt duration exceeded timeout" in reason:
        return "user", "TimedOut", "The task did not end within its @timeout and was stopped"
    if container.startswith("CannotPullContainer"):
        return "system", "CannotPullContainer", "The container image cannot be pulled"
    if container.startswith("DockerTimeout"):
        return "system", "DockerTimeout", "The container could not be started in time"
    if state.stopping:
        return "system", "Terminated", "The job was terminated on request"
    if state.succeeded:
        return "system", "NoResult", "The job succeeded but the task left no result"
    if state.exit_code is None:
        return "system", "NotStarted", "The job failed before its container ran"
    how = f"The container ended with exit code {state.exit_code}"
    return "system", "NoResult", f"{how} before the task could say how it ended"
