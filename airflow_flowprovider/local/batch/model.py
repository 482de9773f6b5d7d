"""What AWS Batch talks about: queues, job definitions, jobs and their attempts.

Data and its description in the shapes of the AWS API; nothing here changes a state.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal

from airflow_flowprovider.local.batch.container import Container
from airflow_flowprovider.local.batch.nodes import describe_nodes

Status = Literal["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"]
StopKind = Literal["cancel", "terminate", "timeout", "interrupt"]

STATUSES: tuple[Status, ...] = (
    "SUBMITTED",
    "PENDING",
    "RUNNABLE",
    "STARTING",
    "RUNNING",
    "SUCCEEDED",
    "FAILED",
)
BEFORE_START: tuple[Status, ...] = STATUSES[:3]
TERMINAL: tuple[Status, ...] = STATUSES[5:]


EXITED = "Essential container in task exited"
FAILED_TO_START = "Task failed to start"


def now_ms() -> int:
    """The time as AWS gives it: milliseconds since 1970."""
    return int(time.time() * 1000)


def without_none(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: AWS leaves the others out."""
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class ComputeEnvironment:
    """Where jobs are placed."""

    arn: str
    name: str
    max_vcpus: float


@dataclass(frozen=True)
class Queue:
    """A job queue as it was when a job was submitted to it."""

    arn: str
    name: str
    enabled: bool
    priority: int
    """Queues of higher priority are served first."""
    fair_share: bool
    environments: tuple[ComputeEnvironment, ...]
    """In the order in which they are tried."""


@dataclass
class JobDefinition:
    """One revision of a job definition."""

    arn: str
    name: str
    revision: int
    request: dict[str, Any]
    """The RegisterJobDefinition request."""
    status: Literal["ACTIVE", "INACTIVE"] = "ACTIVE"

    @property
    def platforms(self) -> list[str]:
        """EC2 or FARGATE."""
        return self.request.get("platformCapabilities") or ["EC2"]

    def describe(self, tags: dict[str, str]) -> dict[str, Any]:
        """As DescribeJobDefinitions shows it."""
        return {
            "parameters": {},
            **self.request,
            "jobDefinitionArn": self.arn,
            "revision": self.revision,
            "status": self.status,
            "containerOrchestrationType": "ECS",
            "tags": tags,
        }


@dataclass(frozen=True)
class StopRequest:
    """Why a job is to stop."""

    kind: StopKind
    reason: str


@dataclass
class Attempt:
    """One run of a job's container."""

    number: int
    task_arn: str
    instance_arn: str
    log_stream: str | None = None
    started_at: int | None = None
    stopped_at: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    status_reason: str | None = None
    stop: StopRequest | None = None
    stopping: Event = field(default_factory=Event)
    """Set together with ``stop``: whoever runs the attempt waits for it."""

    def request_stop(self, stop: StopRequest) -> None:
        """Ask for the attempt's end; the first request counts."""
        if self.stop is None:
            self.stop = stop
            self.stopping.set()

    @property
    def succeeded(self) -> bool:
        """Whether it has ended by itself, and well."""
        return self.exit_code == 0 and not self.stop

    def end(self, exit_code: int | None, reason: str | None, started: bool) -> None:
        """Note how it ended."""
        self.stopped_at = now_ms()
        self.exit_code, self.reason = exit_code, reason
        if self.stop:
            self.status_reason = self.stop.reason
        else:
            self.status_reason = EXITED if started else FAILED_TO_START

    def describe_container(self) -> dict[str, Any]:
        """The fields AWS adds to a container once it has been placed."""
        return without_none(
            containerInstanceArn=self.instance_arn,
            taskArn=self.task_arn,
            logStreamName=self.log_stream,
            exitCode=self.exit_code,
            reason=self.reason,
        )

    def describe(self) -> dict[str, Any]:
        """An entry of ``attempts``."""
        return without_none(
            container={**self.describe_container(), "networkInterfaces": []},
            startedAt=self.started_at,
            stoppedAt=self.stopped_at,
            statusReason=self.status_reason,
        )


@dataclass(eq=False)
class Job:
    """A job: a single one, the parent of an array or of nodes, or a child or a node of one."""

    id: str
    arn: str
    sequence: int
    """Position in the order of submission; children and nodes share their parent's."""
    queue: Queue
    definition: JobDefinition
    request: dict[str, Any]
    """The SubmitJob request."""
    container: Container
    parent: Job | None = None
    index: int | None = None
    status: Status = "SUBMITTED"
    status_reason: str | None = None
    created_at: int = field(default_factory=now_ms)
    started_at: int | None = None
    stopped_at: int | None = None
    attempts: list[Attempt] = field(default_factory=list)
    """Those that have ended."""
    attempt: Attempt | None = None
    """The latest, running or not."""
    children: list[Job] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Children in each state."""
    nodes: list[Job] = field(default_factory=list)
    """Of a multi-node parallel job, which is placed and ends as one."""
    waits_for: set[str] = field(default_factory=set)
    """Ids of jobs that must succeed before this one may run."""
    stop: StopRequest | None = None
    cancelled: bool = False
    terminated: bool = False

    @property
    def name(self) -> str:
        """The job's name; children bear their parent's."""
        return str(self.request["jobName"])

    @property
    def size(self) -> int | None:
        """Number of children, for the parent of an array."""
        if self.parent is not None:
            return None
        return (self.request.get("arrayProperties") or {}).get("size")

    @property
    def main_node(self) -> int:
        """Index of the node that a multi-node parallel job begins and ends with."""
        return int(self.definition.request["nodeProperties"]["mainNode"])

    def child(self, suffix: str, index: int, container: Container) -> Job:
        """A child of an array, or a node."""
        return Job(
            id=f"{self.id}{suffix}",
            arn=f"{self.arn}{suffix}",
            sequence=self.sequence,
            queue=self.queue,
            definition=self.definition,
            request=self.request,
            container=container,
            parent=self,
            index=index,
        )

    @property
    def dependencies(self) -> list[dict[str, str]]:
        """``dependsOn`` of the request."""
        return self.request.get("dependsOn") or []

    @property
    def retry_strategy(self) -> dict[str, Any]:
        """Of the request, else of the definition, else a single attempt."""
        definition = self.definition.request
        return (
            self.request.get("retryStrategy") or definition.get("retryStrategy") or {"attempts": 1}
        )

    @property
    def timeout(self) -> dict[str, int] | None:
        """Of the request, else of the definition."""
        return self.request.get("timeout") or self.definition.request.get("timeout")

    def summarize(self) -> dict[str, Any]:
        """As ListJobs shows it."""
        ended = self.attempt if self.status in TERMINAL else None
        container = without_none(exitCode=ended and ended.exit_code, reason=ended and ended.reason)
        siblings = (self.parent or self).nodes
        nodes = {"numNodes": len(siblings), **self._details_of_node()} if siblings else None
        return {
            **self._common(),
            **without_none(container=container or None, nodeProperties=nodes),
        }

    def describe(self, tags: dict[str, str]) -> dict[str, Any]:
        """As DescribeJobs shows it."""
        return {
            **self._common(),
            **without_none(timeout=self.timeout),
            "jobQueue": self.queue.arn,
            "dependsOn": self.dependencies,
            "parameters": self.container.parameters,
            "attempts": [attempt.describe() for attempt in self.attempts],
            "retryStrategy": self.retry_strategy,
            "isCancelled": self.cancelled,
            "isTerminated": self.terminated,
            "platformCapabilities": self.definition.platforms,
            "propagateTags": bool(self.request.get("propagateTags")),
            "tags": tags,
            "eksAttempts": [],
            **self._describe_containers(),
        }

    def _common(self) -> dict[str, Any]:
        return without_none(
            jobId=self.id,
            jobArn=self.arn,
            jobName=self.name,
            jobDefinition=self.definition.arn,
            createdAt=self.created_at,
            startedAt=self.started_at,
            stoppedAt=self.stopped_at,
            status=self.status,
            statusReason=self.status_reason,
            arrayProperties=self._describe_array(),
            shareIdentifier=self.request.get("shareIdentifier"),
            isCancelled=self.cancelled or None,
            isTerminated=self.terminated or None,
        )

    def _describe_containers(self) -> dict[str, Any]:
        if self.nodes:  # AWS shows what became of the main node's container in ``attempts`` only
            return {"nodeProperties": describe_nodes(self.definition.request, self.request)}
        placed = self.attempt.describe_container() if self.attempt else {}
        container = {**self.container.describe(), **placed}
        return without_none(container=container, nodeDetails=self._details_of_node() or None)

    @property
    def _is_node(self) -> bool:
        return self.parent is not None and bool(self.parent.nodes)

    def _details_of_node(self) -> dict[str, Any]:
        if not self._is_node:
            return {}
        return {"nodeIndex": self.index, "isMainNode": self.index == self.main_node}

    def _describe_array(self) -> dict[str, Any] | None:
        if self.parent and self.parent.size:
            return {"index": self.index, "statusSummary": {}}
        if self.size is None:
            return None
        summary = {status: self.counts[status] for status in STATUSES}
        return {
            "size": self.size,
            "statusSummary": summary,
            "statusSummaryLastUpdatedAt": now_ms(),
        }
