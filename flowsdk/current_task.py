"""``current``: what a step can ask about the task that it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowsdk.events import Trigger
from flowsdk.identity import user_name

if TYPE_CHECKING:
    from flowsdk.client import Run, Task
    from flowsdk.spec import TaskSpec


#: What a scheduler says of a run. Where there is none they are None, so that a step may ask anywhere.
_SCHEDULED = ("logical_date", "data_interval_start", "data_interval_end", "run_after")


class Current:
    """Facts about the running task; outside one there are none.

    Always: ``flow_name, run_id, step_name, task_id, retry_count, origin_run_id, pathspec, namespace,
    username, tags, parameter_names, tempdir, is_running_flow``, the client's ``run`` and ``task``,
    ``graph`` (a dict) and ``trigger`` (None unless an event has started the run). Decorators add
    theirs: ``@project`` the ``project_name`` and more, ``@card`` the ``card``, ``@parallel`` the
    ``parallel``. In a job ``spot_termination_notice`` is the path of a file that appears when its
    spot instance is about to be taken away. ``logical_date``, ``data_interval_start``,
    ``data_interval_end`` and ``run_after`` are ISO 8601 text or None, on a laptop None; under Airflow there
    is also ``dag_id``.

    Functions that give values to a flow before it runs – defaults of Parameters, events – see
    ``flow_name``, ``username`` and what ``@project`` adds.

    Reading a fact that is not there raises AttributeError; ``current.get(name, default)`` does not,
    and ``name in current`` tells.
    """

    def __init__(self) -> None:
        self._facts: dict[str, Any] = {}
        self._makers: dict[str, Callable[[], Any]] = {}
        self._root: str | None = None

    @property
    def is_running_flow(self) -> bool:
        """Whether a task is running in this process."""
        return "task_id" in self._facts

    def get(self, key: str, default: Any = None) -> Any:
        """The fact ``key``, or ``default`` if there is none."""
        return getattr(self, key) if key in self else default

    def __contains__(self, key: str) -> bool:
        return key in self._facts or key in self._makers

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("_facts", {})
        makers = self.__dict__.get("_makers", {})
        if name not in facts and name in makers:
            facts[name] = makers[name]()
        if name in facts:
            return facts[name]
        why = (
            f"known here: {', '.join(sorted({*facts, *makers}))}" if facts else "no task is running"
        )
        raise AttributeError(f"current.{name} is not available: {why}.")

    def _begin(
        self, spec: TaskSpec, parameter_names: list[str], tempdir: str, flow: type | None = None
    ) -> None:
        """Become the facts of one task.

        Args:
            spec: The task.
            parameter_names: Of the attributes that hold parameters.
            tempdir: A folder that is removed after the task.
            flow: The flow class, for ``graph``.
        """
        from flowsdk.spec import flow_class

        self._facts = {
            **dict.fromkeys(_SCHEDULED),
            **spec.facts,
            "trigger": Trigger(spec.facts["trigger"]) if spec.facts.get("trigger") else None,
            "flow_name": flow_class(spec.flow),
            "run_id": spec.run,
            "step_name": spec.step,
            "task_id": spec.task,
            "retry_count": spec.retry_count,
            "origin_run_id": spec.origin_run,
            "pathspec": spec.pathspec,
            "namespace": spec.namespace,
            "username": spec.user,
            "tags": set(spec.tags),
            "parameter_names": parameter_names,
            "tempdir": tempdir,
        }
        #: Of the datastore that the task reads and writes: the client looks there by default.
        self._root = spec.root
        self._makers = {
            "run": lambda: _client_run(spec),
            "task": lambda: _client_task(spec),
            **({"graph": _graph_of(flow), "graph_info": _graph_of(flow)} if flow else {}),
        }

    def _add(self, **facts: Any) -> None:
        """Add facts, for a decorator to call before the step's code runs."""
        self._facts.update(facts)

    def _add_lazily(self, **makers: Callable[[], Any]) -> None:
        """Add facts that are made when the step first asks for them."""
        self._makers.update(makers)

    @contextmanager
    def _before_a_run(self, flow: str, facts: Mapping[str, Any]) -> Iterator[None]:
        """Tell what is known of a flow that does not run, while a user's function is called."""
        before = self._facts
        self._facts = {"flow_name": flow, "username": user_name(), **facts}
        try:
            yield
        finally:
            self._facts = before

    def _end(self) -> None:
        """Forget the task."""
        self._facts, self._makers, self._root = {}, {}, None


def _client_run(spec: TaskSpec) -> Run:
    from flowsdk.client import Run
    from flowsdk.client.selection import looking_at

    with looking_at(None):  # a flow file may have chosen another place for what it reads
        return Run(f"{spec.flow}/{spec.run}", _namespace_check=False)


def _client_task(spec: TaskSpec) -> Task:
    from flowsdk.client import Task
    from flowsdk.client.selection import looking_at

    with looking_at(None):
        return Task(spec.pathspec, _namespace_check=False)


def _graph_of(flow: type) -> Callable[[], Mapping[str, Any]]:
    def make() -> Mapping[str, Any]:
        from flowsdk.graph_info import graph_info

        return graph_info(flow)

    return make


current = Current()
