"""What Flow, Run, Step, Task and DataArtifact have in common: a place in the tree and a provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any, ClassVar, Generic, TypeVar

from flowsdk.client.metadata import MetadataProvider
from flowsdk.client.selection import current_provider, provider_of
from flowsdk.exception import InvalidPathspec, NotFound, did_you_mean

Child = TypeVar("Child")
Self = TypeVar("Self", bound="ClientObject")

_SHAPE = ("flow", "run", "step", "task", "artifact")


class ClientObject(ABC):
    """Something with a pathspec.

    How it works:
        The object made from a pathspec checks that it exists; objects reached from another one do
        not ask again. What can still change is asked for again each time; what cannot is kept.

    Args:
        pathspec: ``flow``, ``flow/run``, … as long as the class is deep.

    Raises:
        InvalidPathspec: It has another number of components, or an empty one.
        NotFound: There is no such thing.
    """

    _depth: ClassVar[int]
    #: The classes by depth, so that each level can make its neighbours.
    _levels: ClassVar[dict[int, type[ClientObject]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_depth" in cls.__dict__:
            ClientObject._levels[cls._depth] = cls

    def __init__(self, pathspec: str) -> None:
        parts = pathspec.split("/")
        if len(parts) != self._depth or not all(parts):
            raise InvalidPathspec(
                f"{type(self).__name__}({pathspec!r}): found {len(parts)} components"
                f"{'' if all(parts) else ', some of them empty'}, expected "
                f"{'/'.join(_SHAPE[: self._depth])}."
            )
        self._begin(tuple(parts), current_provider())
        if not self._exists():
            self._raise_not_found()

    def _begin(self, parts: tuple[str, ...], provider: MetadataProvider) -> None:
        self._parts = parts
        self._provider = provider

    @classmethod
    def _at(cls: type[Self], parts: tuple[str, ...], provider: MetadataProvider) -> Self:
        """The object at a place that is known to exist."""
        found = cls.__new__(cls)
        found._begin(parts, provider)
        return found

    # -- for subclasses

    @abstractmethod
    def _exists(self) -> bool:
        """Ask whether it exists."""

    # -- the tree

    @property
    def id(self) -> str:
        """The last component of the pathspec."""
        return self._parts[-1]

    @property
    def pathspec(self) -> str:
        """``flow/run/step/task`` as far as it goes."""
        return "/".join(self._parts)

    @property
    def path_components(self) -> list[str]:
        """The components of the pathspec."""
        return list(self._parts)

    @property
    def parent(self) -> Any:
        """The run of a step, the step of a task and so on; None for a flow."""
        if self._depth == 1:
            return None
        return ClientObject._levels[self._depth - 1]._at(self._parts[:-1], self._provider)

    def _raise_not_found(self) -> None:
        """Say which component of the pathspec is the first that does not exist."""
        if self._depth == 1:
            hint = did_you_mean(self.id, self._provider.flows())
            raise NotFound(f"No flow {self.id!r} in {self._provider.name}.{hint}")
        parent = self.parent
        if not parent._exists():
            parent._raise_not_found()
        raise NotFound(f"{parent._no_child(self.id)} (Asked: {self._provider.name})")

    # -- as a value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pathspec!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ClientObject)
            and type(other) is type(self)
            and other._parts == self._parts
            and other._provider.name == self._provider.name
            and other._extra() == self._extra()
        )

    def __hash__(self) -> int:
        return hash((type(self), self._parts))

    def __reduce__(self) -> Any:
        return _restore, (self._depth, self._parts, self._provider.name, self._extra())

    def _extra(self) -> dict[str, Any]:
        """What else belongs to the object's identity; set as attributes when it is unpickled."""
        return {}


class Container(ClientObject, Generic[Child]):
    """A client object that others are in."""

    @abstractmethod
    def _child(self, name: str) -> Child | None:
        """The child of that name, or None."""

    @abstractmethod
    def _child_names(self) -> Iterable[str]:
        """Names of the children, for near misses."""

    @abstractmethod
    def __iter__(self) -> Iterator[Child]:
        """The children, newest first."""

    def __getitem__(self, name: str) -> Child:
        child = self._child(name)
        if child is None:
            raise KeyError(self._no_child(name))
        return child

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._child(name) is not None

    def _no_child(self, name: str) -> str:
        kind = _SHAPE[self._depth]
        hint = did_you_mean(name, self._child_names())
        return f"{type(self).__name__} {self.pathspec} has no {kind} {name!r}.{hint}"


def _restore(
    depth: int, parts: tuple[str, ...], provider: str, extra: dict[str, Any]
) -> ClientObject:
    found = ClientObject._levels[depth]._at(parts, provider_of(provider))
    for name, value in extra.items():
        setattr(found, name, value)
    return found


def parse_time(text: str | None) -> datetime | None:
    """A point in time, in UTC, from ISO 8601 text."""
    if not text:
        return None
    # Python 3.10 does not know the Z that Airflow writes.
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
