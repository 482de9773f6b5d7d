"""``Metaflow`` and ``Flow``: the flows that there are, and their runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from flowsdk.client.metadata import RunInfo, State
from flowsdk.client.objects import Container, View, parse_time
from flowsdk.client.runs import Run
from flowsdk.datastore.tags import RunTags
from flowsdk.exception import NamespaceMismatch, NotFound


class Metaflow:
    """All flows of the metadata provider in use that have runs in the namespace.

    Args:
        _namespace_check: Whether flows and runs outside the namespace are left out.
    """

    def __init__(self, *, _namespace_check: bool = True) -> None:
        self._view = View.now(_namespace_check)

    @property
    def flows(self) -> list[Flow]:
        """The flows, by name."""
        return list(self)

    def __iter__(self) -> Iterator[Flow]:
        found = (Flow._at((name,), self._view) for name in self._view.provider.flows())
        return (flow for flow in found if flow._is_visible())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and Flow._at((name,), self._view)._is_visible()

    def __getitem__(self, name: str) -> Flow:
        flow = Flow._at((name,), self._view)
        try:
            flow._look_up()
        except NotFound as error:
            raise KeyError(str(error)) from None
        return flow

    def __repr__(self) -> str:
        return f"Metaflow() of {self._view.provider.name}"


class Flow(Container["Run"]):
    """A flow and its runs: ``Flow("MyFlow")``. Iterating yields the runs, newest first.

    Only the runs in the namespace are there: ``namespace(None)`` before makes it all.
    """

    _depth = 1

    def runs(self, *tags: str) -> Iterator[Run]:
        """The runs, newest first; read as far as they are asked for.

        Args:
            tags: Only runs that have all of these.
        """
        return self._runs(None, tags, ahead=True)

    @property
    def latest_run(self) -> Run | None:
        """The newest run, whatever its state; None if there is none."""
        return next(self._runs(), None)

    @property
    def latest_successful_run(self) -> Run | None:
        """The newest run that has succeeded; None if there is none."""
        return next(self._runs("succeeded"), None)

    @property
    def created_at(self) -> datetime | None:
        """When the oldest run was created. Goes through all runs."""
        created = [info.created_at for info in self._infos()]
        return parse_time(min(filter(None, created), default=None))

    @property
    def origin_pathspec(self) -> None:
        """None: flows are not resumed."""

    def is_in_namespace(self) -> bool:
        """Whether a run of the flow is in the namespace."""
        namespace = self._view.namespace
        if namespace is None:
            return self._exists()
        return self._provider.has_runs(self.id, frozenset((namespace,)))

    def __iter__(self) -> Iterator[Run]:
        return self.runs()

    def _infos(
        self, status: State | None = None, tags: Iterable[str] = (), *, ahead: bool = False
    ) -> Iterator[RunInfo]:
        required = self._view.required | frozenset(tags)
        return self._provider.runs(self.id, status, required, ahead=ahead)

    def _runs(
        self, status: State | None = None, tags: Iterable[str] = (), *, ahead: bool = False
    ) -> Iterator[Run]:
        infos = self._infos(status, tags, ahead=ahead)
        return (Run._of(info, self._view) for info in infos)

    def _is_visible(self) -> bool:
        """One question only: a run that may be seen makes the flow exist."""
        required = self._view.required
        if required:
            return self._provider.has_runs(self.id, required)
        return self._exists()

    def _look_up(self) -> None:
        if self._is_visible():
            return
        if not self._exists():
            self._raise_not_found()
        raise NamespaceMismatch(
            f"Flow {self.id} has no run in namespace {self._view.namespace!r}: found other "
            f"users' or scheduled ones at most, in {self._provider.name}. Call namespace(None) "
            f"first to see all runs, or pass _namespace_check=False for this flow."
        )

    def _tags(self) -> RunTags:
        return RunTags()

    def _exists(self) -> bool:
        return self._provider.has_flow(self.id)

    def _child(self, name: str) -> Run | None:
        info = self._provider.run(self.id, name)
        if info is None:
            return None
        run = Run._of(info, self._view)
        run._check_namespace()
        return run

    def __contains__(self, name: object) -> bool:
        try:
            return super().__contains__(name)
        except NamespaceMismatch:
            return False

    def _child_names(self) -> Iterable[str]:
        return [info.run for info in self._infos()]
