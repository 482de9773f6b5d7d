"""``Task``: what one task did, printed and left behind."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Literal

from flowsdk.client.artifacts import DataArtifact, TaskData
from flowsdk.client.metadata import MetadataProvider, TaskInfo
from flowsdk.client.objects import Container, parse_time
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.exception import KeyNotFound, NotFound, UsageError, did_you_mean
from flowsdk.planning import task_id
from flowsdk.runtime.logs import LogLine, parse_chunk
from flowsdk.spec import ArtifactRef, TaskRef, TaskResult, TaskSpec

Stream = Literal["stdout", "stderr", "both"]


@dataclass(frozen=True)
class TaskException:
    """The exception that ended a task.

    Attributes:
        type: Qualified name of its class, e.g. ``builtins.ValueError``.
        exception: Its message.
        stacktrace: The formatted traceback, the user's own frames only; empty if there was no
            Python exception.
        kind: ``user``, ``system`` or ``interrupted``: who has to act.
    """

    type: str
    exception: str
    stacktrace: str
    kind: str

    def __str__(self) -> str:
        return self.stacktrace.rstrip() or f"{self.type}: {self.exception}"


class Task(Container[DataArtifact]):
    """A task: ``Task("MyFlow/run-id/step/task-id")``. Iterating yields its artifacts.

    Only a task that has succeeded has artifacts: those of its newest attempt that did.

    Args:
        pathspec: ``flow/run/step/task``.
        attempt: Look at this attempt (0-based) instead of the one that counts.
    """

    _depth = 4
    _wanted: int | None = None

    def __init__(self, pathspec: str, attempt: int | None = None) -> None:
        self._wanted = attempt
        super().__init__(pathspec)

    def _begin(self, parts: tuple[str, ...], provider: MetadataProvider) -> None:
        super()._begin(parts, provider)
        self._known: TaskInfo | None = None

    @classmethod
    def _of(cls, run: tuple[str, ...], info: TaskInfo, provider: MetadataProvider) -> Task:
        task = cls._at((*run[:2], info.step, info.task), provider)
        task._known = info
        return task

    # -- how it went

    @property
    def successful(self) -> bool:
        """Whether the task has succeeded."""
        return self._info().status == "succeeded"

    @property
    def finished(self) -> bool:
        """Whether the task has ended, well or not, and will not be tried again."""
        return self._info().status != "running"

    @property
    def current_attempt(self) -> int:
        """The attempt (0-based) that this object speaks of."""
        return self._info().attempt

    @property
    def created_at(self) -> datetime | None:
        """When the task's code began; None if it has not."""
        return parse_time(self._info().started_at)

    @property
    def finished_at(self) -> datetime | None:
        """When the task ended; None while it runs."""
        return parse_time(self._info().finished_at)

    @property
    def exception(self) -> TaskException | None:
        """Why the task failed: the exception of its last failed attempt. None if it did not."""
        if self._info().status != "failed":
            return None
        result = self._result() or self._last_failure()
        error = result.error if result else None
        if error is None:
            return None
        return TaskException(error.type, error.message, error.traceback, error.kind)

    @property
    def index(self) -> int | None:
        """0-based position of the split in the innermost foreach; None outside one."""
        frames = self._info().foreach
        return frames[-1].index if frames else None

    @property
    def metadata_dict(self) -> dict[str, Any]:
        """Facts about the attempt: where, when and with what it ran."""
        info, result = self._info(), self._result()
        facts: dict[str, Any] = {
            "attempt": info.attempt,
            "status": info.status,
            "started_at": info.started_at,
            "finished_at": info.finished_at,
        }
        if result:
            facts |= {
                "host": result.host,
                "aws-batch-job-id": result.batch_job,
                "code-package": result.code,
                **{f"{name}_version": version for name, version in result.versions.items()},
            }
        return facts

    # -- what it left behind

    @property
    def data(self) -> TaskData:
        """The artifacts: ``task.data.x`` loads ``x``."""
        return TaskData(self)

    @property
    def artifacts(self) -> Any:
        """The artifacts unloaded, as a named tuple: ``task.artifacts.x.size``."""
        found = list(self)
        names = [artifact.id for artifact in found]
        shape: Any = namedtuple("artifacts", names, rename=True)  # type: ignore[misc]
        return shape(*found)

    def artifact_names(self, *, private: bool = False) -> list[str]:
        """Names of the artifacts, sorted.

        Args:
            private: Also those that begin with an underscore.
        """
        return [name for name, _ in self._refs() if private or not name.startswith("_")]

    @property
    def stdout(self) -> str:
        """What the task printed, as far as it is stored already."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """What the task printed to stderr, as far as it is stored already."""
        return self._text("stderr")

    def loglines(self, stream: Stream = "both") -> Iterator[tuple[datetime, str]]:
        """The lines that the task printed, each with the time when it did.

        Args:
            stream: ``stdout``, ``stderr`` or ``both``.

        Raises:
            UsageError: There is no such stream.
        """
        streams = ("stdout", "stderr", "both")
        if stream not in streams:
            raise UsageError(
                f"Stream: found {stream!r}, expected {', '.join(streams)}."
                f"{did_you_mean(str(stream), streams)}"
            )
        for line in self._lines():
            if stream in ("both", line.stream):
                yield datetime.fromtimestamp(line.time_ms / 1000, timezone.utc), line.text

    # -- its neighbours

    @property
    def parent_tasks(self) -> list[Task]:
        """The tasks that this one follows."""
        try:
            spec: TaskSpec = self._store().read_spec(self._parts[1], self._info().ref)
        except KeyNotFound:
            return []
        return [task for ref in spec.parents for task in self._siblings(ref.step, [ref.task])]

    @property
    def child_tasks(self) -> list[Task]:
        """The tasks that follow this one, as far as there are any yet."""
        info, result = self._info(), self._result()
        frames = info.foreach
        children: list[Task] = []
        for step in info.next:
            if result and result.splits:
                splits = result.splits
                ids = [
                    task_id((*frames, splits.frame(info.step, index)))
                    for index in range(splits.count)
                ]
            else:
                # A join that closes a foreach is one level further out; all else stays here.
                ids = [task_id(frames), task_id(frames[:-1])]
            known = self._siblings(step, ids)
            children += known if result and result.splits else known[:1]
        return children

    # -- for the base class

    def __iter__(self) -> Iterator[DataArtifact]:
        refs = dict(self._refs())
        return (self._artifact(name, refs[name]) for name in self.artifact_names())

    def _exists(self) -> bool:
        self._known = self._ask()
        return self._known is not None

    def _child(self, name: str) -> DataArtifact | None:
        ref = dict(self._refs()).get(name)
        return self._artifact(name, ref) if ref else None

    def _child_names(self) -> Iterable[str]:
        return self.artifact_names()

    def _no_child(self, name: str) -> str:
        status = self._info().status
        if status == "succeeded":
            return super()._no_child(name)
        return (
            f"Task {self.pathspec} has no artifact {name!r}: the task "
            f"{'is running' if status == 'running' else 'failed'}, and only tasks that succeeded "
            f"have artifacts."
        )

    def _extra(self) -> dict[str, Any]:
        return {"_wanted": self._wanted}

    # -- asking

    def _info(self) -> TaskInfo:
        if self._known is None or self._known.status == "running":
            self._known = self._ask()
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
        if info.result is None:
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
        flow, run, step, task = self._parts
        numbers = self._store().storage.children(keys.task(flow, run, step, task))
        return [TaskRef(step, task, number) for number in sorted(map(int, numbers))]

    def _refs(self) -> list[tuple[str, ArtifactRef]]:
        """The visible artifacts by name, sorted."""
        if self._info().status != "succeeded":
            return []
        result = self._result()
        return sorted(result.artifacts.items()) if result and result.succeeded else []

    def _artifact(self, name: str, ref: ArtifactRef) -> DataArtifact:
        artifact = DataArtifact._at((*self._parts, name), self._provider)
        artifact._task, artifact._ref = self, ref
        return artifact

    def _siblings(self, step: str, tasks: Iterable[str]) -> list[Task]:
        """Those of the tasks of a step of this run that exist."""
        flow, run = self._parts[:2]
        found = [self._provider.task(flow, run, step, task) for task in tasks]
        return [Task._of(self._parts, info, self._provider) for info in found if info]

    def _store(self) -> FlowDatastore:
        return self._provider.store(*self._parts[:2])

    def _lines(self) -> Iterator[LogLine]:
        for chunk in self._store().log_chunks(self._parts[1], self._info().ref):
            yield from parse_chunk(chunk)

    def _text(self, stream: str) -> str:
        return "".join(f"{line.text}\n" for line in self._lines() if line.stream == stream)
