"""The run that is resumed: which of its tasks can be used again, and how they become the new run's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from flowsdk.datastore import FlowDatastore
from flowsdk.datastore.parallel import in_parallel
from flowsdk.graph import FlowGraph, Node
from flowsdk.spec import TaskRef, TaskResult, TaskSpec

#: What the conf of a DAG run calls the run that it resumes.
CONF_KEY = "resume"
_PARALLEL = 32


@dataclass(frozen=True)
class Origin:
    """An earlier run of the flow and what it has left.

    How it works:
        A reused task is a result in the new run that lists the artifacts of the earlier task: the
        same digests, so that nothing is copied, loaded or run.

    Attributes:
        flow: What the flow is called there.
        run: Its id.
        results: The newest success of every task that may be reused, by step and task id.
    """

    flow: str
    run: str
    results: Mapping[tuple[str, str], TaskResult]

    @classmethod
    def read(cls, store: FlowDatastore, run: str, steps: Collection[str]) -> Origin:
        """The origin with the successes of ``steps``, read in one listing and parallel requests."""
        found = store.attempts(run)
        return cls._of(store, run, [r for step in steps for r in found.get(step, {}).values()])

    @classmethod
    def read_tasks(cls, store: FlowDatastore, run: str, step: str, tasks: Sequence[str]) -> Origin:
        """The same with the successes of some tasks of one step."""
        found = store.attempts(run, step, tasks[0] if len(tasks) == 1 else None).get(step, {})
        return cls._of(store, run, [found[task] for task in tasks if task in found])

    @classmethod
    def _of(cls, store: FlowDatastore, run: str, attempts: Sequence[Sequence[TaskRef]]) -> Origin:
        def newest_success(refs: Sequence[TaskRef]) -> TaskResult | None:
            found = (store.find_result(run, ref) for ref in reversed(refs))
            return next((result for result in found if result and result.succeeded), None)

        successes = filter(None, in_parallel(_PARALLEL, newest_success, attempts))
        return cls(store.flow, run, {(result.step, result.task): result for result in successes})

    @property
    def pathspec(self) -> str:
        """``flow/run``."""
        return f"{self.flow}/{self.run}"

    def results_of(
        self, graph: FlowGraph, node: Node, tasks: Sequence[str]
    ) -> list[TaskResult] | None:
        """The successes of tasks that run together; None if they have to run again.

        Args:
            graph: The flow as it is now.
            node: Their step.
            tasks: Their ids: one, or all those of a gang.
        """
        found = [self.results.get((node.name, task)) for task in tasks]
        results = [result for result in found if result and _fits(graph, node, result)]
        if len(results) < len(tasks) or len({result.attempt for result in results}) > 1:
            return None
        return results


def reused(spec: TaskSpec, result: TaskResult) -> TaskResult:
    """The result of a task of an earlier run as the result of ``spec`` in the new one."""
    source = f"{result.flow}/{result.run}/{result.ref}"
    return replace(
        result,
        flow=spec.flow,
        run=spec.run,
        attempt=spec.attempt,
        foreach=spec.foreach,
        origin=result.origin or source,
    )


def commit(store: FlowDatastore, reused: Iterable[tuple[TaskSpec, TaskResult]]) -> None:
    """Store reused tasks, each with its spec."""

    def store_one(pair: tuple[TaskSpec, TaskResult]) -> None:
        store.write_spec(pair[0])
        store.write_result(pair[1])

    in_parallel(_PARALLEL, store_one, reused)


def _fits(graph: FlowGraph, node: Node, result: TaskResult) -> bool:
    """Whether a task can be followed in the flow as it is now: its code may have changed since."""
    if (result.splits is not None) != (node.kind == "foreach"):
        return False
    if result.splits is not None:
        if bool(result.splits.values) == node.num_parallel:
            return False
        if not result.splits.count:
            return node.allow_empty and result.next == (graph.join_for(node.name),)
    if node.kind == "switch":
        return set(result.next) <= set(node.next)
    return result.next == node.next
