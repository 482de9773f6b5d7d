"""``current``: what a step can ask about the task that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowsdk.spec import TaskSpec


class Current:
    """Facts about the running task; outside one there are none.

    Always: ``flow_name, run_id, step_name, task_id, retry_count, origin_run_id, pathspec, namespace,
    username, tags, parameter_names, tempdir, is_running_flow``. Under Airflow also ``logical_date``,
    ``data_interval_start``, ``data_interval_end``, ``run_after`` (ISO 8601 text or None) and
    ``dag_id``.

    Reading a fact that is not there raises AttributeError; ``current.get(name, default)`` does not,
    and ``name in current`` tells.
    """

    def __init__(self) -> None:
        self._facts: dict[str, Any] = {}

    @property
    def is_running_flow(self) -> bool:
        """Whether a task is running in this process."""
        return bool(self._facts)

    def get(self, key: str, default: Any = None) -> Any:
        """The fact ``key``, or ``default`` if there is none."""
        return self._facts.get(key, default)

    def __contains__(self, key: str) -> bool:
        return key in self._facts

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("_facts", {})
        if name in facts:
            return facts[name]
        why = f"known here: {', '.join(sorted(facts))}" if facts else "no task is running"
        raise AttributeError(f"current.{name} is not available: {why}.")

    def _begin(self, spec: TaskSpec, parameter_names: list[str], tempdir: str) -> None:
        """Become the facts of one task."""
        self._facts = {
            **spec.facts,
            "flow_name": spec.flow,
            "run_id": spec.run,
            "step_name": spec.step,
            "task_id": spec.task,
            "retry_count": spec.retry_count,
            "origin_run_id": spec.origin_run,
            "pathspec": spec.pathspec,
            "namespace": spec.namespace,
            "username": spec.user,
            "tags": frozenset(spec.tags),
            "parameter_names": parameter_names,
            "tempdir": tempdir,
        }

    def _end(self) -> None:
        """Forget the task."""
        self._facts = {}


current = Current()
