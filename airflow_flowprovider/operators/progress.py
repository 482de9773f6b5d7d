"""How far the tasks of a task instance have come since the instance was last cleared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from flowsdk.datastore import FlowDatastore
from flowsdk.graph import Node
from flowsdk.spec import TaskResult, TaskSpec
from flowsdk.succession import Planned

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
    """

    tasks: tuple[Planned, ...]
    iteration: int = 0
    done: tuple[TaskResult, ...] = ()
    past: tuple[TaskResult, ...] = ()
    failures: int = 0
    failed: TaskResult | None = None


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
    """

    def __init__(
        self, store: FlowDatastore, node: Node, tasks: Sequence[Planned], make_spec: MakeSpec
    ) -> None:
        self._store = store
        self._node = node
        self._make_spec = make_spec
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
        return [replace(spec, retry_count=unit.failures) for spec in made]

    def pending(self) -> list[Unit]:
        """What has still to run."""
        return [unit for unit in self.units if not unit.done]

    def results(self) -> list[TaskResult]:
        """Of all tasks that have succeeded, earlier iterations of loops included."""
        return [result for unit in self.units for result in (*unit.past, *unit.done)]

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
        unit.done, unit.failures, unit.failed = (), 0, None
        return True


def _judge(unit: Unit, attempts: Iterable[Sequence[TaskResult | None]]) -> None:
    """Note what the results of a unit's attempts, oldest first, say of it."""
    unit.failures, unit.failed = 0, None
    for results in attempts:
        found = [result for result in results if result is not None]
        failed = [result for result in found if not result.succeeded]
        if failed:
            unit.failed = failed[0]
            unit.failures += any(r.error and r.error.kind == "user" for r in failed)
        elif len(found) == len(results):
            unit.done = tuple(found)
            return


def _units(tasks: Sequence[Planned]) -> Iterator[tuple[Planned, ...]]:
    def gang(task: Planned) -> tuple[int, ...] | None:
        # The frame of a gang has no values.
        is_gang = bool(task.foreach) and not task.foreach[-1].values
        return tuple(frame.index for frame in task.foreach[:-1]) if is_gang else None

    for key, group in groupby(tasks, key=gang):
        if key is None:
            yield from ((task,) for task in group)
        else:
            yield tuple(group)
