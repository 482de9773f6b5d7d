"""Events: what has made a run begin, and what events are called within a project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from flowsdk.client import Run
    from flowsdk.decorators.project import ProjectSettings

_PREFIX = "mfns"


class MetaflowEvent(NamedTuple):
    """An event that a run was triggered by.

    Attributes:
        name: What ``@trigger`` calls it; of a run, the flow as deployed.
        id: Of a run, ``Flow/run``; of another event, what its source calls it.
        timestamp: When it happened, seconds since 1970.
        type: ``run`` for the end of another flow's run, else ``event``.
    """

    name: str
    id: str
    timestamp: float
    type: str


class Trigger:
    """What a run was triggered by: ``current.trigger``.

    Args:
        meta: A dict with the fields of a :class:`MetaflowEvent` for each event.
    """

    def __init__(self, meta: Iterable[Mapping[str, Any]] = ()) -> None:
        self._meta = [MetaflowEvent(**entry) for entry in meta]

    @classmethod
    def from_runs(cls, runs: Iterable[Run]) -> Trigger:
        """As if these runs had triggered it."""
        return cls(
            {
                "name": run.path_components[0],
                "id": run.pathspec,
                "timestamp": run.finished_at.timestamp() if run.finished_at else 0.0,
                "type": "run",
            }
            for run in runs
        )

    @property
    def events(self) -> list[MetaflowEvent] | None:
        """The events, without those that were ends of runs; None if there are none."""
        return self._of_type("event") or None

    @property
    def event(self) -> MetaflowEvent | None:
        """The event, if it was one."""
        events = self.events or ()
        return events[0] if len(events) == 1 else None

    @property
    def runs(self) -> list[Run] | None:
        """The runs whose ends were the events; None if there are none."""
        from flowsdk.client import Run

        return [Run(event.id, _namespace_check=False) for event in self._of_type("run")] or None

    @property
    def run(self) -> Run | None:
        """The run, if it was one."""
        runs = self.runs or ()
        return runs[0] if len(runs) == 1 else None

    @property
    def type(self) -> str | None:
        """``run``, ``many-runs``, ``event`` or ``many-events``; None if there is nothing."""
        for kind in ("run", "event"):
            if count := len(self._of_type(kind)):
                return kind if count == 1 else f"many-{kind}s"
        return None

    def __getitem__(self, key: str) -> Run | MetaflowEvent:
        """The run of the flow ``key``, or the event of that name.

        Raises:
            KeyError: There is none.
        """
        from flowsdk.client import Run

        for event in self._meta:
            if event.type == "run" and key in (event.name, event.id.partition("/")[0]):
                return Run(event.id, _namespace_check=False)
            if event.type != "run" and event.name == key:
                return event
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return any(key in (event.name, event.id.partition("/")[0]) for event in self._meta)

    def __iter__(self) -> Iterator[MetaflowEvent]:
        return iter(self._meta)

    def __bool__(self) -> bool:
        return bool(self._meta)

    def __repr__(self) -> str:
        return f"Trigger({', '.join(f'{event.name} ({event.id})' for event in self._meta)})"

    def _of_type(self, kind: str) -> list[MetaflowEvent]:
        return [event for event in self._meta if event.type == kind]


class NamespacedEventName:
    """An event's name that says to which project and branch it belongs.

    Args:
        name: Of the event among those of one branch.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def of(self, project: ProjectSettings | None) -> str:
        """``mfns.<project>.<branch>.<name>``, without a project ``mfns.<name>``."""
        parts = (project.name, project.branch) if project else ()
        return ".".join((_PREFIX, *parts, self.name))

    def __call__(self, *_: Any) -> str:
        """The name in the project of the running task."""
        from flowsdk.current_task import current
        from flowsdk.decorators.project import ProjectSettings

        name = current.get("project_name")
        return self.of(ProjectSettings(name, current.branch_name) if name else None)

    def __repr__(self) -> str:
        return f"namespaced_event_name({self.name!r})"


def namespaced_event_name(event_name: str) -> NamespacedEventName:
    """The name of an event within the flow's ``@project`` and branch, for ``@trigger``.

    Args:
        event_name: Of the event among those of one branch.

    Returns:
        What ``@trigger(event=…)`` takes for a name. In a running task, call it for the text.
    """
    return NamespacedEventName(event_name)
