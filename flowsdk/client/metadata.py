"""Who knows what ran and how it ended: one small interface, behind it a datastore or an Airflow."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flowsdk.datastore import FlowDatastore
from flowsdk.datastore.tags import RunTags
from flowsdk.exception import KeyNotFound
from flowsdk.planning import PLAIN_TASK
from flowsdk.spec import ForeachFrame, RunSpec, TaskRef, TaskResult

State = Literal["running", "succeeded", "failed"]

#: Tags that a run must have: none in particular.
ANY: frozenset[str] = frozenset()
#: What the last step is called unless the flow says otherwise.
_END = "end"
#: Between the numbers of a task id: ``-`` before each inner split, ``.`` before an iteration.
_BETWEEN = re.compile(r"[-.]")


@dataclass(frozen=True)
class RunInfo:
    """A run, as a provider knows it.

    Attributes:
        flow: Name of the flow.
        run: Run id.
        status: ``running``, ``succeeded`` or ``failed``.
        created_at: ISO 8601, or None if it is not known.
        finished_at: Likewise; None while it runs.
        user: Who asked for it, if the provider knows that at once.
    """

    flow: str
    run: str
    status: State
    created_at: str | None = None
    finished_at: str | None = None
    user: str | None = None


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
        artifacts: Digest, size and type of every visible artifact, if the provider has them at
            hand without the result.
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
    artifacts: Mapping[str, Mapping[str, Any]] | None = None
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
    #: How long what is not final – all but success – is taken to be what it was, in seconds.
    fresh_seconds: float = 0.0

    @abstractmethod
    def flows(self) -> list[str]:
        """Names of the flows, sorted."""

    @abstractmethod
    def has_flow(self, flow: str) -> bool:
        """Whether there is such a flow."""

    @abstractmethod
    def has_runs(self, flow: str, tags: frozenset[str]) -> bool:
        """Whether a run of the flow has all of these tags."""

    @abstractmethod
    def runs(
        self,
        flow: str,
        status: State | None = None,
        tags: frozenset[str] = ANY,
        *,
        ahead: bool = False,
    ) -> Iterator[RunInfo]:
        """The runs of a flow, newest first; read as far as they are asked for.

        Args:
            flow: Name of the flow.
            status: Only these.
            tags: Only runs that have all of these tags.
            ahead: Somebody goes through all of them and may look into each, so that reading ahead
                pays.
        """

    @abstractmethod
    def run(self, flow: str, run: str) -> RunInfo | None:
        """One run, or None if there is none of that id."""

    @abstractmethod
    def tags(self, flow: str, run: str) -> RunTags:
        """The tags of a run."""

    def has_tags(self, flow: str, run: str, tags: frozenset[str]) -> bool:
        """Whether a run has all of these tags."""
        return tags <= self.tags(flow, run).all

    @abstractmethod
    def edit_tags(self, flow: str, run: str, edit: Callable[[RunTags], RunTags]) -> RunTags:
        """Change the tags of a run.

        Args:
            flow: Name of the flow.
            run: Run id.
            edit: The new tags for the old ones; may be called more than once.
        """

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
    """The numbers that a task id is made of, its iteration last; anything else sorts before them."""
    parts = _BETWEEN.split(task)
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else ()
