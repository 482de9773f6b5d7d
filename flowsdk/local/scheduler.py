"""The laptop's scheduler: which task is next, and what follows when one has ended."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import FlowException
from flowsdk.graph import FlowGraph, Node
from flowsdk.local.launchers import Launcher
from flowsdk.local.units import Gathering, Unit
from flowsdk.origin import Origin, commit, reused
from flowsdk.planning import after_failures, frames_of, task_id, task_spec
from flowsdk.spec import ForeachFrame, RunSpec, Splits, TaskRef, TaskResult, TaskSpec

_POLL_SECONDS = 0.5
#: For what is not the flow's fault: a host that was taken away, a datastore that did not answer.
_PLATFORM_RETRIES = 2
_PLATFORM_RETRY_SECONDS = 2.0


@dataclass(frozen=True)
class Listener:
    """What a scheduler reports.

    Attributes:
        started: A task has been launched: its spec and what it is known by (``pid 123``).
        ended: An attempt has ended: its result, and in how many seconds it is tried again (None:
            it is not).
        tick: Called about twice a second while tasks are out, whether anything happens or not.
        reused: Called once before anything starts, if a run is resumed: its id, and the results
            that its tasks stand in for.
    """

    started: Callable[[TaskSpec, str], None]
    ended: Callable[[TaskResult, float | None], None]
    tick: Callable[[], None] = lambda: None
    reused: Callable[[str, Sequence[TaskResult]], None] = lambda _, __: None


class Scheduler:
    """Runs all tasks of one run.

    Purpose:
        Decide what runs next; launching, logging and printing are others' work.
    How it works:
        One thread, one loop: launch while there is room, poll, follow the transitions of what has
        ended. The work for each ended task does not depend on how many siblings it has.
    What it does not do:
        It never looks into artifacts or runs user code in its own process.

    Args:
        graph: The flow's graph, without problems.
        run: The run.
        store: The flow's datastore.
        settings: What the decorators ask for, by step.
        launcher_of: The launcher of each step.
        listener: Told what happens.
        max_workers: How many tasks may be out at once. A gang is launched whole all the same.
        max_num_splits: How many splits a foreach may have; None means no limit.
        origin: The run whose tasks are used again as far as they can be; None to run everything.
    """

    def __init__(
        self,
        graph: FlowGraph,
        run: RunSpec,
        store: FlowDatastore,
        settings: Mapping[str, StepSettings],
        launcher_of: Mapping[str, Launcher],
        listener: Listener,
        max_workers: int,
        max_num_splits: int | None = None,
        origin: Origin | None = None,
    ) -> None:
        self._graph = graph
        self._run = run
        self._store = store
        self._settings = settings
        self._launcher_of = launcher_of
        self._launchers = list(dict.fromkeys(launcher_of.values()))
        self._listener = listener
        self._max_workers = max_workers
        self._max_num_splits = max_num_splits
        self._origin = origin
        self._ready: deque[Unit] = deque()
        self._later: list[tuple[float, int, Unit]] = []
        self._order = itertools.count()
        self._out: dict[TaskRef, Unit] = {}
        self._joins: dict[tuple[str, str], Gathering] = {}
        self.failed: list[TaskResult] = []

    def execute(self) -> bool:
        """Run everything; whether it succeeded. Failures are in ``failed``.

        The first task that fails for good ends the run: what is running then is stopped.
        """
        start = self._graph[self._graph.start or "start"]
        self._ready.append(Unit(start, (), ((),)))
        if self._origin is not None:
            self._reuse(self._origin)
        try:
            while (self._ready or self._later or self._out) and not self.failed:
                self._launch_what_fits()
                for result in self._poll():
                    self._ended(result)
                self._listener.tick()
        finally:
            why = "the run is ending"
            if self.failed:
                why = f"task {self.failed[0].step}/{self.failed[0].task} of the run has failed"
            for launcher in self._launchers:
                if len(launcher):
                    launcher.stop(why)
        if self._joins and not self.failed:
            waiting = ", ".join(f"{step}/{task}" for step, task in self._joins)
            raise FlowException(
                f"Run {self._run.run} cannot go on: {waiting} waits for inputs, and no task is left "
                f"that leads there. Let all branches of a split end in the same join."
            )
        return not self.failed

    def _reuse(self, origin: Origin) -> None:
        """Follow the tasks that need not run again; what cannot be reused is left ready to run.

        Nothing has run yet, so whatever becomes ready here has only reused tasks before it.
        """
        taken: list[tuple[TaskSpec, TaskResult]] = []
        to_run: deque[Unit] = deque()
        while self._ready:
            unit = self._ready.popleft()
            earlier = origin.results_of(self._graph, unit.node, unit.tasks)
            if earlier is None:
                to_run.append(unit)
                continue
            unit.attempt = earlier[0].attempt
            for place, result in zip(unit.places, earlier, strict=True):
                spec = self._spec(unit, place)
                taken.append((spec, reused(spec, result)))
                self._follow(taken[-1][1], unit.iteration)
        self._ready = to_run
        commit(self._store, taken)
        self._listener.reused(origin.run, [result for _, result in taken])

    def _launch_what_fits(self) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        while self._ready and len(self._out) < self._max_workers:
            unit = self._ready.popleft()
            specs = [self._spec(unit, place) for place in unit.places]
            unit.out = {spec.ref for spec in specs}
            for spec in specs:
                self._store.write_spec(spec)
                self._out[spec.ref] = unit
            step = unit.node.name
            settings = replace(self._settings[step], ooms=unit.ooms)
            names = self._launcher_of[step].launch(specs, settings)
            for spec, name in zip(specs, names, strict=True):
                self._listener.started(spec, name)

    def _spec(self, unit: Unit, place: tuple[ForeachFrame, ...]) -> TaskSpec:
        spec = task_spec(
            self._run,
            self._store.storage.root,
            unit.node,
            self._settings[unit.node.name],
            parents=unit.parents,
            foreach=place,
            attempt=unit.attempt,
            iteration=unit.iteration,
        )
        return after_failures(spec, unit.user_failures, unit.lost, last=True)

    def _poll(self) -> list[TaskResult]:
        wait = _POLL_SECONDS
        if self._later:
            wait = min(wait, max(0.0, self._later[0][0] - time.monotonic()))
        busy = [launcher for launcher in self._launchers if len(launcher)]
        if not busy:
            time.sleep(wait)
        results: list[TaskResult] = []
        for launcher in busy:
            results += launcher.poll(wait / len(busy))
        return results

    def _ended(self, result: TaskResult) -> None:
        unit = self._out.pop(result.ref)
        unit.out.discard(result.ref)
        unit.done.append(result)
        if not result.succeeded and unit.failure is None:
            self._failed(unit, result)
        self._listener.ended(result, None if result.succeeded else unit.retry_seconds)
        if unit.out:
            return
        if unit.failure is None:
            for done in sorted(unit.done, key=lambda r: [frame.index for frame in r.foreach]):
                self._follow(done, unit.iteration)
        elif unit.retry_seconds is not None:
            due = time.monotonic() + unit.retry_seconds
            unit.next_attempt()
            heapq.heappush(self._later, (due, next(self._order), unit))

    def _failed(self, unit: Unit, result: TaskResult) -> None:
        """Decide what becomes of a unit by its first failure; the rest of a gang is stopped."""
        unit.failure = result
        unit.retry_seconds = self._retry_delay(unit, result)
        if (error := result.error) is not None:
            unit.ooms += error.out_of_memory
            may_catch = self._settings[result.step].catches and unit.lost is None
            if unit.retry_seconds is None and error.lost and may_catch:
                unit.lost, unit.retry_seconds = error, 0.0
        if unit.retry_seconds is None:
            self.failed.append(result)
        elif unit.out:
            reason = f"task {result.step}/{result.task} of its gang has failed"
            self._launcher_of[result.step].cancel(unit.out, reason)

    def _retry_delay(self, unit: Unit, result: TaskResult) -> float | None:
        """In how many seconds a failed unit is tried again; None if it is not.

        What the platform did to a task does not use up the retries that its author has allowed.
        """
        if result.error is not None and result.error.kind != "user":
            unit.platform_failures += 1
            may = unit.platform_failures <= _PLATFORM_RETRIES
            return _PLATFORM_RETRY_SECONDS if may else None
        settings = self._settings[result.step]
        unit.user_failures += 1
        may = unit.user_failures <= settings.retry_times
        return settings.retry_delay_minutes * 60 if may else None

    def _follow(self, result: TaskResult, iteration: int) -> None:
        """Queue what comes after a task that has succeeded."""
        parent = self._graph[result.step]
        for name in result.next:
            node = self._graph[name]
            if node.is_join:
                self._arrive(node, parent, result)
            elif result.splits is not None:
                self._split(node, parent, result, result.splits)
            else:
                place = frames_of(self._graph, node, parent.name, result.foreach)
                again = iteration + 1 if node is parent else 0
                self._ready.append(Unit(node, (result.ref,), (place,), again))

    def _split(self, node: Node, parent: Node, result: TaskResult, splits: Splits) -> None:
        """Queue the tasks of a foreach, or all those of a gang as one."""
        limit = self._max_num_splits
        if limit is not None and splits.count > limit:
            raise FlowException(
                f"Step {result.step!r} ({parent.file}:{parent.next_line}) splits into {splits.count} "
                f"tasks, expected at most {limit}. Pass --max-num-splits to allow more."
            )
        places = [
            frames_of(self._graph, node, parent.name, result.foreach, splits, index)
            for index in range(splits.count)
        ]
        groups = [tuple(places)] if parent.num_parallel else [(place,) for place in places]
        self._ready += [Unit(node, (result.ref,), group) for group in groups]

    def _arrive(self, node: Node, parent: Node, result: TaskResult) -> None:
        """Note that one input of a join is there; queue the join with the last."""
        place = frames_of(self._graph, node, parent.name, result.foreach)
        opener = self._graph[str(node.join_of)]
        if opener is parent:  # a foreach over nothing
            self._ready.append(Unit(node, (result.ref,), (place,)))
            return
        if opener.kind == "foreach":
            position, expected = result.foreach[-1].index, result.foreach[-1].count
        else:
            position = self._graph.branch_to(parent.name, node.name)
            expected = len(opener.next)
        key = (node.name, task_id(place))
        join = self._joins.setdefault(key, Gathering(expected, place))
        join.arrived[position] = result.ref
        if len(join.arrived) == join.expected:
            del self._joins[key]
            parents = tuple(ref for _, ref in sorted(join.arrived.items()))
            self._ready.append(Unit(node, parents, (join.place,)))
