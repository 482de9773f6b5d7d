"""What is known of a task, and how more of it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from flowsdk.client.artifacts import DataArtifact
from flowsdk.client.metadata import TaskInfo
from flowsdk.client.objects import Container, Freshness, View
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.exception import KeyNotFound, NotFound
from flowsdk.runtime.logs import LogLine, parse_chunk
from flowsdk.spec import ArtifactRef, RunSpec, TaskRef, TaskResult, TaskSpec

Self = TypeVar("Self", bound="KnownTask")


class KnownTask(Container[DataArtifact]):
    """The part of ``Task`` that is not for its users: facts about one attempt, as they come in."""

    #: The attempt that is asked for; None for the one that counts.
    _wanted: int | None = None

    def _begin(self, parts: tuple[str, ...], view: View) -> None:
        super()._begin(parts, view)
        self._known: TaskInfo | None = None
        self._fresh = Freshness(0)

    @classmethod
    def _of(cls: type[Self], run: tuple[str, ...], info: TaskInfo, view: View) -> Self:
        task = cls._at((*run[:2], info.step, info.task), view)
        task._know(info)
        return task

    def _exists(self) -> bool:
        self._know(self._ask())
        return self._known is not None

    def _extra(self) -> dict[str, Any]:
        return {"_wanted": self._wanted}

    def _know(self, info: TaskInfo | None) -> None:
        self._known = info
        self._fresh = Freshness(self._provider.fresh_seconds)

    def _info(self) -> TaskInfo:
        if self._known is None or not (self._known.status == "succeeded" or self._fresh):
            self._know(self._ask())
            if self._known is None:
                self._raise_not_found()
        assert self._known is not None
        return self._known

    def _ask(self) -> TaskInfo | None:
        info = self._provider.task(*self._parts)
        if info is None or self._wanted in (None, info.attempt):
            return info
        ref = replace(info.ref, attempt=self._wanted)
        result = self._store().find_result(self._parts[1], ref)
        if result:
            return TaskInfo.of(result)
        attempts = self._attempts()
        if ref not in attempts:
            known = ", ".join(str(other.attempt) for other in attempts)
            raise NotFound(
                f"Task {self.pathspec} has no attempt {self._wanted}, expected one of {known}."
            )
        running = info.status == "running" and ref == attempts[-1]
        return TaskInfo(info.step, info.task, ref.attempt, "running" if running else "failed")

    def _result(self) -> TaskResult | None:
        info = self._info()
        if info.result is None and info.status != "running":
            result = self._store().find_result(self._parts[1], info.ref)
            self._known = info = replace(info, result=result)
        return info.result

    def _last_failure(self) -> TaskResult | None:
        """The newest failed result there is, for a task whose last attempt left none."""
        if self._wanted is not None:
            return None
        for ref in reversed(self._attempts()):
            result = self._store().find_result(self._parts[1], ref)
            if result and not result.succeeded:
                return result
        return None

    def _attempts(self) -> list[TaskRef]:
        store, (_, run, step, task) = self._store(), self._parts
        numbers = store.storage.children(keys.task(store.flow, run, step, task))
        return [TaskRef(step, task, number) for number in sorted(map(int, numbers))]

    def _refs(self) -> Mapping[str, ArtifactRef]:
        """The visible artifacts by name, sorted."""
        info = self._info()
        if info.status != "succeeded":
            return {}
        if info.result is None and info.artifacts is not None:
            return {name: _short_ref(entry) for name, entry in sorted(info.artifacts.items())}
        result = self._result()
        return dict(sorted(result.artifacts.items())) if result and result.succeeded else {}

    def _is_control(self) -> bool:
        """Whether it is the first task of a gang: a foreach over nothing in particular."""
        frames = self._info().foreach
        return bool(frames) and not frames[-1].values and frames[-1].index == 0

    def _parent_steps(self) -> list[str]:
        spec = self._spec()
        return [ref.step for ref in spec.parents] if spec else []

    def _spec(self) -> TaskSpec | None:
        """What the task was launched with; of one that a resumed run has, maybe in its origin."""
        try:
            return self._store().read_spec(self._parts[1], self._info().ref)
        except KeyNotFound:
            pass
        store, run, ref = self._place()
        try:
            return store.read_spec(run, ref)
        except KeyNotFound:
            return None

    def _place(self) -> tuple[FlowDatastore, str, TaskRef]:
        """Where the task was launched and has printed: a run's datastore, the run, the attempt."""
        store, result = self._store(), self._result()
        if result is None or result.origin is None:
            return store, self._parts[1], self._info().ref
        # The run may be one of another branch of the project.
        flow, run, step, task, attempt = result.origin.split("/")
        return FlowDatastore(store.storage, flow), run, TaskRef(step, task, int(attempt))

    def _run_spec(self) -> RunSpec | None:
        return self._provider.run_spec(*self._parts[:2])

    def _store(self) -> FlowDatastore:
        return self._provider.store(*self._parts[:2])

    def _lines(self) -> Iterator[LogLine]:
        store, run, ref = self._place()
        for chunk in store.log_chunks(run, ref):
            yield from parse_chunk(chunk)


def _short_ref(entry: Mapping[str, Any]) -> ArtifactRef:
    """An artifact as far as a task record describes it: enough to load it."""
    return ArtifactRef(entry["digest"], entry["size"], entry["type"], serializer="", origin="")
