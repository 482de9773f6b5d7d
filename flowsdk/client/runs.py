"""``Run`` and ``Step``: the way down to a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from flowsdk.client.artifacts import TaskData
from flowsdk.client.code import MetaflowCode
from flowsdk.client.metadata import RunInfo, State, TaskInfo
from flowsdk.client.objects import Container, Freshness, View, parse_time
from flowsdk.client.tasks import Task
from flowsdk.datastore.tags import RunTags
from flowsdk.events import Trigger
from flowsdk.exception import TagError
from flowsdk.spec import RunSpec


class Run(Container["Step"]):
    """A run of a flow: ``Run("MyFlow/run-id")``. Iterating yields the steps, newest first."""

    _depth = 2

    def _begin(self, parts: tuple[str, ...], view: View) -> None:
        super()._begin(parts, view)
        self._known: RunInfo | None = None
        self._fresh = Freshness(0)
        self._asked: RunSpec | None = None

    @classmethod
    def _of(cls, info: RunInfo, view: View) -> Run:
        run = cls._at((info.flow, info.run), view)
        run._know(info)
        return run

    # -- how it went

    @property
    def status(self) -> State:
        """``running`` (or waiting to), ``succeeded`` or ``failed``.

        Only ``succeeded`` is final: a failed run may be taken up again by clearing its tasks.
        """
        return self._info().status

    @property
    def successful(self) -> bool:
        """Whether the run has succeeded."""
        return self.status == "succeeded"

    @property
    def finished(self) -> bool:
        """Whether the run has ended, well or not: also true for a failed run."""
        return self.status != "running"

    @property
    def created_at(self) -> datetime | None:
        """When the run was created."""
        return parse_time(self._info().created_at)

    @property
    def finished_at(self) -> datetime | None:
        """When the run ended; None while it runs."""
        return parse_time(self._info().finished_at)

    # -- what it was asked to do

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
    def origin_pathspec(self) -> str | None:
        """``flow/run`` that this run resumes, or None."""
        spec = self._spec()
        return spec.origin if spec else None

    @property
    def code(self) -> MetaflowCode | None:
        """The code package of the run; None where its tasks ran in the code of its process."""
        spec = self._spec()
        return MetaflowCode.of(spec, self._provider.store(*self._parts)) if spec else None

    @property
    def trigger(self) -> Trigger | None:
        """The events that started the run; None if none did, and until it has begun."""
        steps = self._provider.steps(*self._parts)
        task = self[steps[-1]].task if steps else None
        spec = task._spec() if task else None
        events = spec.facts.get("trigger") if spec else None
        return Trigger(events) if events else None

    # -- what it left behind

    @property
    def end_task(self) -> Task | None:
        """The task of the last step; None while it has not been started."""
        info = self._provider.end_task(*self._parts)
        return Task._of(self._parts, info, self._view) if info else None

    @property
    def data(self) -> TaskData | None:
        """The artifacts of the last step: ``run.data.model``. None while it has not been started."""
        task = self.end_task
        return task.data if task else None

    def steps(self, *tags: str) -> Iterator[Step]:
        """The steps that have tasks, newest first.

        Args:
            tags: None of them unless the run has all of these tags.
        """
        return self._tagged(tags)

    # -- tags

    def add_tag(self, tag: str | Iterable[str]) -> None:
        """Add a tag, or several; see :meth:`replace_tags`."""
        self.add_tags(_several(tag))

    def add_tags(self, tags: Iterable[str]) -> None:
        """Add tags; see :meth:`replace_tags`."""
        self.replace_tags((), tags)

    def remove_tag(self, tag: str | Iterable[str]) -> None:
        """Remove a tag, or several; see :meth:`replace_tags`."""
        self.remove_tags(_several(tag))

    def remove_tags(self, tags: Iterable[str]) -> None:
        """Remove tags; see :meth:`replace_tags`."""
        self.replace_tags(tags, ())

    def replace_tag(
        self, tag_to_remove: str | Iterable[str], tag_to_add: str | Iterable[str]
    ) -> None:
        """Replace a tag by another, or several; see :meth:`replace_tags`."""
        self.replace_tags(_several(tag_to_remove), _several(tag_to_add))

    def replace_tags(self, tags_to_remove: Iterable[str], tags_to_add: Iterable[str]) -> None:
        """Remove some tags and add others in one go.

        Tags that are there already, or not there, do not matter. The steps, tasks and artifacts of
        the run have its tags.

        Args:
            tags_to_remove: User tags; removed before the others are added.
            tags_to_add: Of 1 to 500 characters each; a run has at most 50.

        Raises:
            TagError: There are none, a tag is malformed, a system tag is to be removed, or the run
                would have too many.
        """
        remove, add = tuple(tags_to_remove), tuple(tags_to_add)
        if not remove and not add:
            raise TagError("Tags to add or to remove: found none, expected at least one.")

        def edit(tags: RunTags) -> RunTags:
            return tags.replaced(remove, add)

        flow, run = self._parts
        self._provider.edit_tags(flow, run, edit)

    # -- for the base class

    def __iter__(self) -> Iterator[Step]:
        names = self._provider.steps(*self._parts)
        return (Step._at((*self._parts, name), self._view) for name in names)

    def _know(self, info: RunInfo | None) -> None:
        self._known = info
        self._fresh = Freshness(self._provider.fresh_seconds)

    def _info(self) -> RunInfo:
        if self._known is None or not (self._known.status == "succeeded" or self._fresh):
            self._know(self._provider.run(*self._parts))
            if self._known is None:
                self._raise_not_found()
        assert self._known is not None
        return self._known

    def _spec(self) -> RunSpec | None:
        if self._asked is None:
            self._asked = self._provider.run_spec(*self._parts)
        return self._asked

    def _exists(self) -> bool:
        self._know(self._provider.run(*self._parts))
        return self._known is not None

    def _child(self, name: str) -> Step | None:
        if name not in self._child_names():
            return None
        return Step._at((*self._parts, name), self._view)

    def _child_names(self) -> Iterable[str]:
        return self._provider.steps(*self._parts)


class Step(Container[Task]):
    """A step of a run: ``Step("MyFlow/run-id/step")``. Iterating yields the tasks, newest first."""

    _depth = 3

    def tasks(self, *tags: str) -> Iterator[Task]:
        """The tasks, newest first (a foreach's last split first).

        Args:
            tags: None of them unless the run has all of these tags.
        """
        return self._tagged(tags)

    @property
    def task(self) -> Task | None:
        """Any task of the step: the only one outside a foreach."""
        return next(iter(self), None)

    @property
    def control_task(self) -> Task | None:
        """The task of a gang (``num_parallel``) that the others find at its address, if it is one."""
        return next(self.control_tasks(), None)

    def control_tasks(self, *tags: str) -> Iterator[Task]:
        """The control tasks of the step's gangs: one of each, none outside ``num_parallel``.

        Args:
            tags: As for :meth:`tasks`.
        """
        return (task for task in self.tasks(*tags) if task._is_control())

    @property
    def parent_steps(self) -> Iterator[Step]:
        """The steps that tasks of this one follow."""
        return self._steps(step for task in self for step in task._parent_steps())

    @property
    def child_steps(self) -> Iterator[Step]:
        """The steps that follow this one, as far as there are tasks of them yet."""
        known = set(self._provider.steps(*self._parts[:2]))
        return self._steps(step for task in self for step in task._info().next if step in known)

    @property
    def environment_info(self) -> dict[str, Any] | None:
        """What the step ran in; None while nothing says it. See ``Task.environment_info``."""
        task = self.task
        return task.environment_info if task else None

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

    @property
    def origin_pathspec(self) -> str | None:
        """``flow/run/step`` that a resumed run has tasks of this step from, or None."""
        origins = (task.origin_pathspec for task in self)
        origin = next(filter(None, origins), None)
        return origin.rpartition("/")[0] if origin else None

    def __iter__(self) -> Iterator[Task]:
        return (self._task(info) for info in self._provider.tasks(*self._parts))

    def _steps(self, names: Iterable[str]) -> Iterator[Step]:
        """The steps of these names, each once."""
        return (Step._at((*self._parts[:2], name), self._view) for name in dict.fromkeys(names))

    def _task(self, info: TaskInfo) -> Task:
        return Task._of(self._parts, info, self._view)

    def _exists(self) -> bool:
        flow, run, step = self._parts
        return step in self._provider.steps(flow, run)

    def _child(self, name: str) -> Task | None:
        flow, run, step = self._parts
        info = self._provider.task(flow, run, step, name)
        return self._task(info) if info else None

    def _child_names(self) -> Iterable[str]:
        return [info.task for info in self._provider.tasks(*self._parts)]


def _several(tags: str | Iterable[str]) -> Iterable[str]:
    """One tag, or several as Metaflow's older programs pass them."""
    return (tags,) if isinstance(tags, str) else tags
