"""``Metaflow``, ``Flow``, ``Run`` and ``Step``: the way down to a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from flowsdk.client.artifacts import TaskData
from flowsdk.client.metadata import MetadataProvider, RunInfo, State, TaskInfo
from flowsdk.client.objects import Container, parse_time
from flowsdk.client.selection import current_provider
from flowsdk.client.tasks import Task
from flowsdk.exception import did_you_mean
from flowsdk.spec import RunSpec


class Metaflow:
    """All flows of the metadata provider in use."""

    def __init__(self) -> None:
        self._provider = current_provider()

    @property
    def flows(self) -> list[Flow]:
        """The flows, by name."""
        return list(self)

    def __iter__(self) -> Iterator[Flow]:
        return (Flow._at((name,), self._provider) for name in self._provider.flows())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._provider.has_flow(name)

    def __getitem__(self, name: str) -> Flow:
        if name not in self:
            hint = did_you_mean(name, self._provider.flows())
            raise KeyError(f"No flow {name!r} in {self._provider.name}.{hint}")
        return Flow._at((name,), self._provider)

    def __repr__(self) -> str:
        return f"Metaflow() of {self._provider.name}"


class Flow(Container["Run"]):
    """A flow and its runs: ``Flow("MyFlow")``. Iterating yields the runs, newest first."""

    _depth = 1

    def runs(self) -> Iterator[Run]:
        """The runs, newest first; read as far as they are asked for."""
        return iter(self)

    @property
    def latest_run(self) -> Run | None:
        """The newest run, whatever its state; None if there is none."""
        return next(iter(self), None)

    @property
    def latest_successful_run(self) -> Run | None:
        """The newest run that has succeeded; None if there is none."""
        found = next(self._provider.runs(self.id, "succeeded"), None)
        return Run._of(found, self._provider) if found else None

    def __iter__(self) -> Iterator[Run]:
        return (Run._of(info, self._provider) for info in self._provider.runs(self.id))

    def _exists(self) -> bool:
        return self._provider.has_flow(self.id)

    def _child(self, name: str) -> Run | None:
        info = self._provider.run(self.id, name)
        return Run._of(info, self._provider) if info else None

    def _child_names(self) -> Iterable[str]:
        return [info.run for info in self._provider.runs(self.id)]


class Run(Container["Step"]):
    """A run of a flow: ``Run("MyFlow/run-id")``. Iterating yields the steps, newest first."""

    _depth = 2

    def _begin(self, parts: tuple[str, ...], provider: MetadataProvider) -> None:
        super()._begin(parts, provider)
        self._known: RunInfo | None = None
        self._asked: RunSpec | None = None

    @classmethod
    def _of(cls, info: RunInfo, provider: MetadataProvider) -> Run:
        run = cls._at((info.flow, info.run), provider)
        run._known = info
        return run

    @property
    def status(self) -> State:
        """``running`` (or waiting to), ``succeeded`` or ``failed``."""
        return self._info().status

    @property
    def successful(self) -> bool:
        """Whether the run has succeeded."""
        return self.status == "succeeded"

    @property
    def finished(self) -> bool:
        """Whether the run has ended, well or not."""
        return self.status != "running"

    @property
    def created_at(self) -> datetime | None:
        """When the run was created."""
        return parse_time(self._info().created_at)

    @property
    def finished_at(self) -> datetime | None:
        """When the run ended; None while it runs."""
        return parse_time(self._info().finished_at)

    @property
    def end_task(self) -> Task | None:
        """The task of the last step; None while it has not been started."""
        info = self._provider.end_task(*self._parts)
        return Task._of(self._parts, info, self._provider) if info else None

    @property
    def data(self) -> TaskData | None:
        """The artifacts of the last step: ``run.data.model``. None while it has not been started."""
        task = self.end_task
        return task.data if task else None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The values of the flow's parameters, by name."""
        spec = self._spec()
        return dict(spec.parameters) if spec else {}

    @property
    def user(self) -> str | None:
        """Who asked for the run."""
        spec = self._spec()
        return spec.user if spec else None

    @property
    def tags(self) -> frozenset[str]:
        """All tags."""
        return self.user_tags | self.system_tags

    @property
    def user_tags(self) -> frozenset[str]:
        """The tags given when the run was started."""
        spec = self._spec()
        return frozenset(spec.tags) if spec else frozenset()

    @property
    def system_tags(self) -> frozenset[str]:
        """The tags that flowsdk has set."""
        spec = self._spec()
        return frozenset(spec.system_tags) if spec else frozenset()

    @property
    def origin_pathspec(self) -> str | None:
        """``flow/run`` that this run resumes, or None."""
        spec = self._spec()
        return spec.origin if spec else None

    def steps(self) -> Iterator[Step]:
        """The steps that have tasks, newest first."""
        return iter(self)

    def __iter__(self) -> Iterator[Step]:
        names = self._provider.steps(*self._parts)
        return (Step._at((*self._parts, name), self._provider) for name in names)

    def _info(self) -> RunInfo:
        if self._known is None or self._known.status == "running":
            self._known = self._provider.run(*self._parts)
            if self._known is None:
                self._raise_not_found()
        assert self._known is not None
        return self._known

    def _spec(self) -> RunSpec | None:
        if self._asked is None:
            self._asked = self._provider.run_spec(*self._parts)
        return self._asked

    def _exists(self) -> bool:
        self._known = self._provider.run(*self._parts)
        return self._known is not None

    def _child(self, name: str) -> Step | None:
        if name not in self._child_names():
            return None
        return Step._at((*self._parts, name), self._provider)

    def _child_names(self) -> Iterable[str]:
        return self._provider.steps(*self._parts)


class Step(Container[Task]):
    """A step of a run: ``Step("MyFlow/run-id/step")``. Iterating yields the tasks, newest first."""

    _depth = 3

    def tasks(self) -> Iterator[Task]:
        """The tasks, newest first (a foreach's last split first)."""
        return iter(self)

    @property
    def task(self) -> Task | None:
        """Any task of the step: the only one outside a foreach."""
        return next(iter(self), None)

    @property
    def created_at(self) -> datetime | None:
        """When the first task of the step began."""
        return min(filter(None, (task.created_at for task in self)), default=None)

    @property
    def finished_at(self) -> datetime | None:
        """When the last task of the step ended; None while one of them runs."""
        times = [task.finished_at for task in self]
        known = [time for time in times if time is not None]
        return max(known) if known and len(known) == len(times) else None

    def __iter__(self) -> Iterator[Task]:
        return (self._task(info) for info in self._provider.tasks(*self._parts))

    def _task(self, info: TaskInfo) -> Task:
        return Task._of((self._parts[0], self._parts[1]), info, self._provider)

    def _exists(self) -> bool:
        flow, run, step = self._parts
        return step in self._provider.steps(flow, run)

    def _child(self, name: str) -> Task | None:
        flow, run, step = self._parts
        info = self._provider.task(flow, run, step, name)
        return self._task(info) if info else None

    def _child_names(self) -> Iterable[str]:
        return [info.task for info in self._provider.tasks(*self._parts)]
