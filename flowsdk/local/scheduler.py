"""The laptop's scheduler: which task is next, and what follows when one has ended."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import FlowException
from flowsdk.graph import FlowGraph, Node
from flowsdk.local.launchers import Launcher
from flowsdk.planning import frames_of, task_id, task_spec
from flowsdk.spec import ForeachFrame, RunSpec, TaskRef, TaskResult, TaskSpec

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
    """

    started: Callable[[TaskSpec, str], None]
    ended: Callable[[TaskResult, float | None], None]
    tick: Callable[[], None] = lambda: None


@dataclass
class _Pending:
    """A task that can run as soon as there is room."""

    node: Node
    parents: tuple[TaskRef, ...]
    foreach: tuple[ForeachFrame, ...]
    attempt: int = 0
    user_failures: int = 0
    platform_failures: int = 0


@dataclass
class _Join:
    """A join that waits for its inputs."""

    expected: int
    foreach: tuple[ForeachFrame, ...]
    arrived: dict[tuple[int, int], TaskRef] = field(default_factory=dict)


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
        max_workers: How many tasks may be out at once.
        max_num_splits: How many splits a foreach may have; None means no limit.
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
        self._ready: deque[_Pending] = deque()
        self._later: list[tuple[float, int, _Pending]] = []
        self._order = itertools.count()
        self._out: dict[TaskRef, _Pending] = {}
        self._joins: dict[tuple[str, str], _Join] = {}
        self.failed: list[TaskResult] = []

    def execute(self) -> bool:
        """Run everything; whether the end step succeeded. Failures are in ``failed``.

        The first task that fails for good ends the run: what is running then is stopped.
        """
        start = self._graph[self._graph.start or "start"]
        self._ready.append(_Pending(start, (), ()))
        try:
            while (self._ready or self._later or self._out) and not self.failed:
                self._launch_what_fits()
                for result in self._poll():
                    self._ended(result)
                self._listener.tick()
        finally:
            for launcher in self._launchers:
                if len(launcher):
                    launcher.stop("the run is ending")
        return not self.failed

    def _launch_what_fits(self) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        while self._ready and len(self._out) < self._max_workers:
            pending = self._ready.popleft()
            settings = self._settings[pending.node.name]
            spec = task_spec(
                self._run,
                self._store.storage.root,
                pending.node,
                settings,
                parents=pending.parents,
                foreach=pending.foreach,
                attempt=pending.attempt,
                retry_count=pending.user_failures,
            )
            self._store.write_spec(spec)
            self._out[spec.ref] = pending
            name = self._launcher_of[pending.node.name].launch(spec, settings)
            self._listener.started(spec, name)

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
        pending = self._out.pop(result.ref)
        if result.succeeded:
            self._listener.ended(result, None)
            self._follow(result)
            return
        delay = self._retry_delay(pending, result)
        self._listener.ended(result, delay)
        if delay is None:
            self.failed.append(result)
            return
        pending.attempt += 1
        due = time.monotonic() + delay
        heapq.heappush(self._later, (due, next(self._order), pending))

    def _retry_delay(self, pending: _Pending, result: TaskResult) -> float | None:
        """In how many seconds a failed task is tried again; None if it is not.

        What the platform did to a task does not use up the retries that its author has allowed.
        """
        if result.error is not None and result.error.kind != "user":
            pending.platform_failures += 1
            may = pending.platform_failures <= _PLATFORM_RETRIES
            return _PLATFORM_RETRY_SECONDS if may else None
        settings = self._settings[result.step]
        pending.user_failures += 1
        may = pending.user_failures <= settings.retry_times
        return settings.retry_delay_minutes * 60 if may else None

    def _follow(self, result: TaskResult) -> None:
        """Queue what comes after a task that has succeeded."""
        parent = self._graph[result.step]
        for name in result.next:
            node = self._graph[name]
            if result.splits is not None:
                self._check_width(result)
                for index in range(result.splits.count):
                    frames = frames_of(
                        self._graph, node, parent.name, result.foreach, result.splits, index
                    )
                    self._ready.append(_Pending(node, (result.ref,), frames))
            elif node.is_join:
                self._arrive(node, parent, result)
            else:
                frames = frames_of(self._graph, node, parent.name, result.foreach)
                self._ready.append(_Pending(node, (result.ref,), frames))

    def _arrive(self, node: Node, parent: Node, result: TaskResult) -> None:
        """Note that one input of a join is there; queue the join with the last."""
        frames = frames_of(self._graph, node, parent.name, result.foreach)
        key = (node.name, task_id(frames))
        closes_foreach = len(frames) < len(result.foreach)
        if key not in self._joins:
            expected = result.foreach[-1].count if closes_foreach else len(node.parents)
            self._joins[key] = _Join(expected, frames)
        join = self._joins[key]
        index = result.foreach[-1].index if closes_foreach else 0
        join.arrived[(index, node.parents.index(parent.name))] = result.ref
        if len(join.arrived) == join.expected:
            del self._joins[key]
            parents = tuple(ref for _, ref in sorted(join.arrived.items()))
            self._ready.append(_Pending(node, parents, join.foreach))

    def _check_width(self, result: TaskResult) -> None:
        limit = self._max_num_splits
        if limit is not None and result.splits is not None and result.splits.count > limit:
            raise FlowException(
                f"Step {result.step!r} splits into {result.splits.count} tasks, expected at most "
                f"{limit}. Pass --max-num-splits to allow more."
            )
