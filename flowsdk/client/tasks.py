"""``Task``: what one task did, printed and left behind."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from flowsdk.client.artifacts import DataArtifact, TaskData
from flowsdk.client.code import MetaflowCode
from flowsdk.client.facts import Metadata, environment_of, facts_of, listed
from flowsdk.client.known_task import KnownTask
from flowsdk.client.metadata import TaskInfo
from flowsdk.client.neighbours import children_of, parents_of
from flowsdk.client.objects import parse_time
from flowsdk.exception import NotFound, UsageError, did_you_mean
from flowsdk.spec import ArtifactRef

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


class Task(KnownTask):
    """A task: ``Task("MyFlow/run-id/step/task-id")``. Iterating yields its artifacts.

    Only a task that has succeeded has artifacts: those of its newest attempt that did.

    Args:
        pathspec: ``flow/run/step/task``.
        attempt: Look at this attempt (0-based) instead of the one that counts.
        _namespace_check: Whether a task outside the namespace is refused.
    """

    _depth = 4

    def __init__(
        self, pathspec: str, attempt: int | None = None, *, _namespace_check: bool = True
    ) -> None:
        self._wanted = attempt
        super().__init__(pathspec, _namespace_check=_namespace_check)

    # -- how it went

    @property
    def successful(self) -> bool:
        """Whether the task has succeeded."""
        return self._info().status == "succeeded"

    @property
    def finished(self) -> bool:
        """Whether the task has ended, well or not: also true for a failed task.

        A failed one is not tried again by itself, but somebody may clear it in Airflow.
        """
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
    def metadata(self) -> list[Metadata]:
        """Facts about the attempt, one by one: where, when and with what it ran."""
        return listed(self.metadata_dict, self, self._info())

    @property
    def metadata_dict(self) -> dict[str, Any]:
        """The same by name; what is not known is None or not there."""
        info, result = self._info(), self._result()
        try:
            root = self._store().storage.root
        except NotFound:  # it may be that nobody knows yet
            return facts_of(info, result, None, None)
        return facts_of(info, result, self._run_spec(), root)

    @property
    def environment_info(self) -> dict[str, Any] | None:
        """Where and with which versions it ran; None while it has not ended.

        ``type`` is ``aws-batch`` or ``local``.
        """
        return environment_of(self._result())

    @property
    def runtime_name(self) -> str | None:
        """Who launched the run: ``local`` or ``airflow``; None while nothing says it."""
        spec = self._run_spec()
        return spec.launcher if spec else None

    @property
    def code(self) -> MetaflowCode | None:
        """The code package of its run; None where the task ran in the code of its process."""
        spec = self._run_spec()
        return MetaflowCode.of(spec, self._store()) if spec else None

    @property
    def origin_pathspec(self) -> str | None:
        """``flow/run/step/task`` that a resumed run has this task from; None if it ran itself."""
        result = self._result()
        return result.origin.rpartition("/")[0] if result and result.origin else None

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
        return [name for name in self._refs() if private or not name.startswith("_")]

    @property
    def stdout(self) -> str:
        """What the task printed, as far as it is stored already."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """What the task printed to stderr, as far as it is stored already."""
        return self._text("stderr")

    @property
    def stdout_size(self) -> int:
        """Bytes of :attr:`stdout`."""
        return len(self.stdout.encode())

    @property
    def stderr_size(self) -> int:
        """Bytes of :attr:`stderr`."""
        return len(self.stderr.encode())

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
        """The tasks that this one follows, in the order of its inputs."""
        return parents_of(self)

    @property
    def child_tasks(self) -> list[Task]:
        """The tasks that follow this one, as far as there are any yet."""
        return children_of(self)

    @property
    def parent_task_pathspecs(self) -> list[str]:
        """The pathspecs of :attr:`parent_tasks`."""
        spec = self._spec()
        base = "/".join(self._parts[:2])
        return [f"{base}/{ref.step}/{ref.task}" for ref in spec.parents] if spec else []

    @property
    def child_task_pathspecs(self) -> list[str]:
        """The pathspecs of :attr:`child_tasks`."""
        return [task.pathspec for task in self.child_tasks]

    # -- for the base class

    def __iter__(self) -> Iterator[DataArtifact]:
        refs = self._refs()
        return (self._artifact(name, refs[name]) for name in self.artifact_names())

    def _child(self, name: str) -> DataArtifact | None:
        ref = self._refs().get(name)
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

    def _artifact(self, name: str, ref: ArtifactRef) -> DataArtifact:
        artifact = DataArtifact._at((*self._parts, name), self._view)
        artifact._task, artifact._ref = self, ref
        return artifact

    def _sibling(self, info: TaskInfo) -> Task:
        return Task._of(self._parts, info, self._view)

    def _text(self, stream: str) -> str:
        return "".join(f"{line.text}\n" for line in self._lines() if line.stream == stream)
