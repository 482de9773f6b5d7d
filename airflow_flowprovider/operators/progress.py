"""How far the tasks of a task instance have come since the instance was last cleared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from flowsdk.datastore import FlowDatastore
from flowsdk.graph import Node
from flowsdk.planning import after_failures
from flowsdk.spec import ErrorInfo, TaskResult, TaskSpec
from flowsdk.succession import Planned
from flowsdk.taskset import by_cause, gang_size

#: Makes the spec of one attempt: of a planned task, in an iteration.
MakeSpec = Callable[[Planned, int], TaskSpec]


@dataclass
class Unit:
    """Tasks that are launched and tried again together: one, or all those of a gang.

    Attributes:
        tasks: What is to run.
        iteration: How often a step that loops to itself has run in the same place.
        done: The results, once all of one attempt are there and have succeeded.
        past: The results of earlier iterations.
        failures: How often the user's code has failed in this iteration.
        failed: Of the newest attempt that has failed, a result that says so.
        lost: How the tasks were lost with all of their job; None if their code has failed since.
        ooms: How often memory has run out in this iteration.
    """

    tasks: tuple[Planned, ...]
    iteration: int = 0
    done: tuple[TaskResult, ...] = ()
    past: tuple[TaskResult, ...] = ()
    failures: int = 0
    failed: TaskResult | None = None
    lost: ErrorInfo | None = None
    ooms: int = 0

    def forget(self) -> None:
        """Begin with an iteration as if nothing had failed in it."""
        self.failures, self.failed, self.lost, self.ooms = 0, None, None, 0


class Progress:
    """The tasks of a task instance, and what is known of each.

    How it works:
        Nothing is remembered between two workers but what lies in the datastore: the results of all
        attempts of this generation. What has succeeded is never run again.

    Args:
        store: The flow's datastore.
        node: The step.
        tasks: All of the task instance.
        make_spec: Makes the spec of the attempt at hand.
        last: Whether Airflow allows no other attempt.
    """

    def __init__(
        self,
        store: FlowDatastore,
        node: Node,
        tasks: Sequence[Planned],
        make_spec: MakeSpec,
        *,
        last: bool = False,
    ) -> None:
        self._store = store
        self._node = node
        self._make_spec = make_spec
        self._last = last
        self.units = [Unit(group) for group in _units(tasks)]

    def look(self, attempts: Sequence[int]) -> None:
        """Read the results of some attempts; follow tasks that loop to themselves.

        Args:
            attempts: In ascending order; all those of this generation.
        """
        todo = [unit for unit in self.units if not unit.done]
        while todo:
            specs = [self.specs(unit) for unit in todo]
            refs = [
                replace(spec.ref, attempt=attempt)
                for group in specs
                for attempt in attempts
                for spec in group
            ]
            if not refs:
                return
            results = iter(self._store.find_results(specs[0][0].run, refs))
            for unit in todo:
                _judge(unit, [[next(results) for _ in unit.tasks] for _ in attempts])
            todo = [unit for unit in todo if self._repeats(unit)]

    def specs(self, unit: Unit) -> list[TaskSpec]:
        """The specs of a unit's tasks in the attempt at hand."""
        made = (self._make_spec(task, unit.iteration) for task in unit.tasks)
        return [after_failures(spec, unit.failures, unit.lost, last=self._last) for spec in made]

    def pending(self) -> list[Unit]:
        """What has still to run."""
        return [unit for unit in self.units if not unit.done]

    def results(self) -> list[TaskResult]:
        """Of all tasks that have succeeded, earlier iterations of loops included."""
        return [result for unit in self.units for result in (*unit.past, *unit.done)]

    def take(self, unit: Unit, results: Sequence[TaskResult]) -> bool:
        """Let a unit have the results of an earlier run; whether it repeats after them."""
        unit.done = tuple(results)
        return self._repeats(unit)

    def _repeats(self, unit: Unit) -> bool:
        """Let a unit that has succeeded and goes to its own step again do so."""
        if not unit.done or self._node.name not in unit.done[0].next:
            return False
        unit.iteration += 1
        # Each time follows the one before.
        unit.tasks = tuple(
            replace(task, parents=(result.ref,))
            for task, result in zip(unit.tasks, unit.done, strict=True)
        )
        unit.past += unit.done
        unit.done = ()
        unit.forget()
        return True


def _judge(unit: Unit, attempts: Iterable[Sequence[TaskResult | None]]) -> None:
    """Note what the results of a unit's attempts, oldest first, say of it."""
    unit.forget()
    for results in attempts:
        found = [result for result in results if result is not None]
        failed = [result for result in found if not result.succeeded]
        if failed:
            unit.failed = min(failed, key=by_cause)
            _count(unit, [result.error for result in failed if result.error])
        elif len(found) == len(results):
            unit.done = tuple(found)
            return


def _count(unit: Unit, errors: Sequence[ErrorInfo]) -> None:
    """Note what went wrong in one attempt."""
    users = [error for error in errors if error.kind == "user"]
    unit.failures += bool(users)
    unit.ooms += any(error.out_of_memory for error in errors)
    losses = [error for error in users or errors if error.lost]
    if users or losses:
        unit.lost = losses[0] if losses else None


def _units(tasks: Sequence[Planned]) -> Iterator[tuple[Planned, ...]]:
    def gang(task: Planned) -> tuple[int, ...] | None:
        is_gang = gang_size(task.foreach) > 1
        return tuple(frame.index for frame in task.foreach[:-1]) if is_gang else None

    for key, group in groupby(tasks, key=gang):
        if key is None:
            yield from ((task,) for task in group)
        else:
            yield tuple(group)
