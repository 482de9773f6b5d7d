"""What Flow, Run, Step, Task and DataArtifact have in common: a place in the tree and a provider."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, ClassVar, Generic, TypeVar

from flowsdk.client.metadata import ANY, MetadataProvider
from flowsdk.client.namespaces import get_namespace
from flowsdk.client.selection import current_provider, provider_of
from flowsdk.datastore.tags import RunTags
from flowsdk.exception import InvalidPathspec, NamespaceMismatch, NotFound, did_you_mean

Child = TypeVar("Child")
Self = TypeVar("Self", bound="ClientObject")

_SHAPE = ("flow", "run", "step", "task", "artifact")


@dataclass(frozen=True)
class View:
    """Who is asked, and what of the answer counts.

    Attributes:
        provider: Knows what ran.
        namespace: In force when the first object of the tree was made; None means all runs.
        checks: Whether runs outside the namespace are refused.
    """

    provider: MetadataProvider
    namespace: str | None = None
    checks: bool = False

    @classmethod
    def now(cls, checks: bool = True) -> View:
        """The provider and the namespace in use."""
        return cls(current_provider(), get_namespace(), checks)

    @property
    def required(self) -> frozenset[str]:
        """The tags that a run must have to be seen."""
        return frozenset((self.namespace,)) if self.checks and self.namespace else ANY


class ClientObject(ABC):
    """Something with a pathspec.

    How it works:
        The object made from a pathspec checks that it exists; objects reached from another one do
        not ask again. What can still change is asked for again each time; what cannot is kept.

    Args:
        pathspec: ``flow``, ``flow/run``, … as long as the class is deep.
        _namespace_check: Whether a run outside the namespace is refused.

    Raises:
        InvalidPathspec: It has another number of components, or an empty one.
        NotFound: There is no such thing.
        NamespaceMismatch: It is not in the namespace in force.
    """

    _depth: ClassVar[int]
    #: The classes by depth, so that each level can make its neighbours.
    _levels: ClassVar[dict[int, type[ClientObject]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_depth" in cls.__dict__:
            ClientObject._levels[cls._depth] = cls

    def __init__(self, pathspec: str, *, _namespace_check: bool = True) -> None:
        if not isinstance(pathspec, str):
            raise InvalidPathspec(
                f"{type(self).__name__}({pathspec!r}): found {type(pathspec).__name__}, expected "
                f"a text: {'/'.join(_SHAPE[: self._depth])}."
            )
        parts = pathspec.split("/")
        if len(parts) != self._depth or not all(parts):
            raise InvalidPathspec(
                f"{type(self).__name__}({pathspec!r}): found {len(parts)} components"
                f"{'' if all(parts) else ', some of them empty'}, expected "
                f"{'/'.join(_SHAPE[: self._depth])}."
            )
        self._begin(tuple(parts), View.now(_namespace_check))
        self._look_up()

    def _begin(self, parts: tuple[str, ...], view: View) -> None:
        self._parts = parts
        self._view = view

    def _look_up(self) -> None:
        """Make sure that it exists and may be seen."""
        if not self._exists():
            self._raise_not_found()
        self._check_namespace()

    def _check_namespace(self) -> None:
        flow, run = self._parts[:2]
        required = self._view.required
        if not required or self._provider.has_tags(flow, run, required):
            return
        owner = next((tag for tag in sorted(self.system_tags) if tag.startswith("user:")), None)
        raise NamespaceMismatch(
            f"Run {flow}/{run} is not in namespace {self._view.namespace!r}: found "
            f"{repr(owner) if owner else 'no user'} among its tags. Call namespace(None) first to "
            f"see all runs"
            f"{f', namespace({owner!r}) to see those of its user' if owner else ''}, or pass "
            f"_namespace_check=False for this one."
        )

    @classmethod
    def _at(cls: type[Self], parts: tuple[str, ...], view: View) -> Self:
        """The object at a place that is known to exist."""
        found = cls.__new__(cls)
        found._begin(parts, view)
        return found

    @property
    def _provider(self) -> MetadataProvider:
        return self._view.provider

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
        return ClientObject._levels[self._depth - 1]._at(self._parts[:-1], self._view)

    # -- what it has from its run

    @property
    def tags(self) -> frozenset[str]:
        """All tags of the run; none for a flow."""
        return self._tags().all

    @property
    def user_tags(self) -> frozenset[str]:
        """The tags that were given to the run when it was started or later."""
        return frozenset(self._tags().user)

    @property
    def system_tags(self) -> frozenset[str]:
        """The tags that flowsdk has set on the run, such as ``user:<name>``."""
        return frozenset(self._tags().system)

    def is_in_namespace(self) -> bool:
        """Whether its run is in the namespace that was in force when it was made."""
        namespace = self._view.namespace
        if namespace is None:
            return True
        flow, run = self._parts[:2]
        return self._provider.has_tags(flow, run, frozenset((namespace,)))

    def _tags(self) -> RunTags:
        return self._provider.tags(*self._parts[:2])

    # -- what does not exist

    def _raise_not_found(self) -> None:
        """Say which component of the pathspec is the first that does not exist."""
        if self._depth == 1:
            known = self._provider.flows()
            # The DAG of a flow in a project is called project.branch.Flow.
            longer = [name for name in known if name.endswith(f".{self.id}")]
            hint = did_you_mean(longer[0], longer) if longer else did_you_mean(self.id, known)
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
        view = (self._provider.name, self._view.namespace, self._view.checks)
        return _restore, (self._depth, self._parts, view, self._extra())

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

    def _tagged(self, tags: Iterable[str]) -> Iterator[Child]:
        """The children if the run has all of these tags: tags belong to runs."""
        return iter(self) if self.tags.issuperset(tags) else iter(())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._child(name) is not None

    def _no_child(self, name: str) -> str:
        kind = _SHAPE[self._depth]
        hint = did_you_mean(name, self._child_names())
        return f"{type(self).__name__} {self.pathspec} has no {kind} {name!r}.{hint}"


class Freshness:
    """Whether what was last heard of something that may still change can be taken for true.

    Args:
        seconds: For how long.
    """

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def __bool__(self) -> bool:
        return time.monotonic() < self._until


def _restore(
    depth: int,
    parts: tuple[str, ...],
    view: tuple[str, str | None, bool],
    extra: dict[str, Any],
) -> ClientObject:
    provider, namespace, checks = view
    kind = ClientObject._levels[depth]
    found = kind._at(parts, View(provider_of(provider), namespace, checks))
    for name, value in extra.items():
        setattr(found, name, value)
    return found


def parse_time(text: str | None) -> datetime | None:
    """A point in time, in UTC, from ISO 8601 text."""
    if not text:
        return None
    # Python 3.10 does not know the Z that Airflow writes.
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
