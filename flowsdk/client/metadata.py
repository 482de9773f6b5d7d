"""Who knows what ran and how it ended: one small interface, behind it a datastore or an Airflow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from flowsdk.datastore import FlowDatastore
from flowsdk.exception import KeyNotFound
from flowsdk.planning import PLAIN_TASK
from flowsdk.spec import ForeachFrame, RunSpec, TaskRef, TaskResult

State = Literal["running", "succeeded", "failed"]

#: What the last step is called unless the flow says otherwise.
_END = "end"


@dataclass(frozen=True)
class RunInfo:
    """A run, as a provider knows it.

    Attributes:
        flow: Name of the flow.
        run: Run id.
        status: ``running``, ``succeeded`` or ``failed``.
        created_at: ISO 8601, or None if it is not known.
        finished_at: Likewise; None while it runs.
    """

    flow: str
    run: str
    status: State
    created_at: str | None = None
    finished_at: str | None = None


@dataclass(frozen=True)
class TaskInfo:
    """A task, as a provider knows it.

    Attributes:
        step: Name of the step.
        task: Task id.
        attempt: The attempt that counts: the newest that succeeded, else the newest.
        status: Of the task.
        started_at: ISO 8601, or None if it is not known.
        finished_at: Likewise; None while it runs.
        next: The steps that follow; empty at the end, and while it is not known.
        foreach: The foreach levels around the task, outermost first.
        result: The result of ``attempt`` if the provider had to read it anyway.
    """

    step: str
    task: str
    attempt: int
    status: State
    started_at: str | None = None
    finished_at: str | None = None
    next: tuple[str, ...] = ()
    foreach: tuple[ForeachFrame, ...] = ()
    result: TaskResult | None = None

    @property
    def ref(self) -> TaskRef:
        """The attempt that counts."""
        return TaskRef(self.step, self.task, self.attempt)

    @classmethod
    def of(cls, result: TaskResult) -> TaskInfo:
        """What a result says about its task."""
        return cls(
            step=result.step,
            task=result.task,
            attempt=result.attempt,
            status=result.status,
            started_at=result.started_at,
            finished_at=result.finished_at,
            next=result.next,
            foreach=result.foreach,
            result=result,
        )


class MetadataProvider(ABC):
    """Answers what there is and how it ended.

    Purpose:
        The few questions that the client's objects ask, alike for a datastore and for an Airflow.
    What it does not do:
        Artifacts, logs and results are the datastore's: :meth:`store` says which one.
    """

    #: What ``metadata()`` takes to get this provider again.
    name: str

    @abstractmethod
    def flows(self) -> list[str]:
        """Names of the flows, sorted."""

    @abstractmethod
    def has_flow(self, flow: str) -> bool:
        """Whether there is such a flow."""

    @abstractmethod
    def runs(self, flow: str, status: State | None = None) -> Iterator[RunInfo]:
        """The runs of a flow, newest first; read as far as they are asked for.

        Args:
            flow: Name of the flow.
            status: Only these.
        """

    @abstractmethod
    def run(self, flow: str, run: str) -> RunInfo | None:
        """One run, or None if there is none of that id."""

    @abstractmethod
    def steps(self, flow: str, run: str) -> list[str]:
        """The steps of a run that have tasks, newest first."""

    @abstractmethod
    def tasks(self, flow: str, run: str, step: str) -> Iterator[TaskInfo]:
        """The tasks of a step, newest first; read as far as they are asked for."""

    @abstractmethod
    def task(self, flow: str, run: str, step: str, task: str) -> TaskInfo | None:
        """One task, or None if there is none of that id."""

    @abstractmethod
    def store(self, flow: str, run: str) -> FlowDatastore:
        """Where the run's artifacts, logs and results lie.

        Raises:
            NotFound: That is not known.
        """

    def run_spec(self, flow: str, run: str) -> RunSpec | None:
        """What the run was asked to do, or None if nothing says it (yet)."""
        try:
            return self.store(flow, run).read_run(run)
        except KeyNotFound:
            return None

    def end_task(self, flow: str, run: str) -> TaskInfo | None:
        """The task of the flow's last step, or None while there is none."""
        if found := self.task(flow, run, _END, PLAIN_TASK):
            return found
        # The last step has another name: it is the one that succeeded and leads nowhere.
        for step in self.steps(flow, run):
            info = self.task(flow, run, step, PLAIN_TASK)
            if info and info.status == "succeeded" and not info.next:
                return info
        return None


def newest_first(tasks: Iterable[str]) -> list[str]:
    """Task ids in the order of the client: later splits were launched later."""
    return sorted(tasks, key=split_indices, reverse=True)


def split_indices(task: str) -> tuple[int, ...]:
    """The indices that a task id is made of; anything else sorts before them."""
    parts = task.split("-")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else ()
