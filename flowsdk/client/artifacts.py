"""``DataArtifact``: one value that a task left behind, and ``task.data``: all of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowsdk.artifacts.scope import Scope
from flowsdk.client.objects import ClientObject
from flowsdk.exception import ClientError
from flowsdk.spec import ArtifactRef

if TYPE_CHECKING:
    from flowsdk.client.tasks import Task


class TaskData:
    """The artifacts of a task as attributes, loaded when touched; iterating yields their names.

    Private artifacts (``_x``) can be read; iterating leaves them out.

    Args:
        task: Whose.
    """

    def __init__(self, task: Task) -> None:
        self._task = task

    def __getattr__(self, name: str) -> Any:
        # Pickle and copy look for special methods before there is a task to ask.
        if name.startswith("__") or "_task" not in self.__dict__:
            raise AttributeError(name)
        artifact = self._task._child(name)
        if artifact is None:
            raise AttributeError(self._task._no_child(name))
        return artifact.data

    def __iter__(self) -> Iterator[str]:
        return iter(self._task._child_names())

    def __contains__(self, name: object) -> bool:
        return name in self._task

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self])

    def __repr__(self) -> str:
        return f"<artifacts of {self._task.pathspec}: {', '.join(self)}>"


#: Metaflow's name of it.
MetaflowData = TaskData


class DataArtifact(ClientObject):
    """A value that a task left behind: ``DataArtifact("MyFlow/run-id/step/task-id/name")``.

    Args:
        pathspec: ``flow/run/step/task/artifact``.
        attempt: Look at this attempt (0-based) of the task instead of the one that counts.
        _namespace_check: Whether a task outside the namespace is refused.
    """

    _depth = 5
    _wanted: int | None = None
    _task: Task
    _ref: ArtifactRef

    def __init__(
        self, pathspec: str, attempt: int | None = None, *, _namespace_check: bool = True
    ) -> None:
        self._wanted = attempt
        super().__init__(pathspec, _namespace_check=_namespace_check)

    @property
    def data(self) -> Any:
        """The value, loaded afresh.

        Raises:
            ClientError: The value's class cannot be imported here.
        """
        ref, store = self._get_ref(), self._task._store()
        scope = Scope(store.storage, store.blobs, {self.id: ref})
        try:
            return scope.load(self.id)
        except (ImportError, AttributeError) as error:
            raise ClientError(
                f"Artifact {self.pathspec} of type {ref.type} cannot be loaded here: {error}. "
                f"Install or import what its class needs; a class that the flow file itself "
                f"defines has to be defined in __main__ here too."
            ) from error

    @property
    def size(self) -> int:
        """Bytes of the serialized value."""
        return self._get_ref().size

    @property
    def sha(self) -> str:
        """Digest of the serialized value: equal digests are equal values."""
        return self._get_ref().digest

    @property
    def type(self) -> str:
        """Qualified name of the value's class."""
        return self._get_ref().type

    @property
    def preview(self) -> str | None:
        """A short printable form of the value, without loading it; None if there is none."""
        ref = self._get_ref()
        if not ref.serializer:  # what is known came without it
            result = self._task._result()
            ref = result.artifacts.get(self.id, ref) if result else ref
        return ref.preview

    @property
    def created_at(self) -> datetime | None:
        """When the task that has the artifact began."""
        self._get_ref()  # finds the task again after unpickling
        return self._task.created_at

    @property
    def finished_at(self) -> datetime | None:
        """When the task that has the artifact ended."""
        self._get_ref()
        return self._task.finished_at

    @property
    def origin_pathspec(self) -> str | None:
        """``flow/run/step/task/artifact`` that a resumed run has it from; None if it is its own."""
        self._get_ref()
        origin = self._task.origin_pathspec
        return f"{origin}/{self.id}" if origin else None

    def _exists(self) -> bool:
        task: Task = self.parent
        task._wanted = self._wanted
        if not task._exists():
            return False
        found = task._child(self.id)
        if found is None:
            return False
        self._task, self._ref = task, found._ref
        return True

    def _get_ref(self) -> ArtifactRef:
        """What is known of the artifact; asked for again after the object was unpickled."""
        if "_ref" not in self.__dict__ and not self._exists():
            self._raise_not_found()
        return self._ref

    def _extra(self) -> dict[str, Any]:
        return {"_wanted": self._wanted}
