"""Metadata read from the datastore itself: nothing else is needed, and nothing else is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from flowsdk.client.metadata import MetadataProvider, RunInfo, State, TaskInfo, newest_first
from flowsdk.datastore import FlowDatastore, keys, open_storage
from flowsdk.datastore.store import flows
from flowsdk.exception import KeyNotFound
from flowsdk.spec import RunSpec, TaskRef

#: Requests at once where each waits for a network.
_PARALLEL = 32
#: Run ids of a laptop begin with their time; that saves reading a document to sort them.
_LAPTOP_RUN = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{6})-")

A = TypeVar("A")
B = TypeVar("B")


class DatastoreMetadata(MetadataProvider):
    """The runs that a datastore holds.

    How it works:
        A laptop's run notes its end in a document of its own. Other runs (of an Airflow, read
        without it) have none: they have succeeded once their last step has.
    Known limitation:
        A run that was killed on the spot, and a failed run of an Airflow, cannot be told from one
        that is still running.

    Args:
        root: URI of the datastore.
    """

    def __init__(self, root: str) -> None:
        self._storage = open_storage(root)
        root = self._storage.root
        self.name = root if "://" in root else f"local@{root}"
        self._created: dict[tuple[str, str], str] = {}

    def flows(self) -> list[str]:
        """The flows that have runs here."""
        return flows(self._storage)

    def has_flow(self, flow: str) -> bool:
        """Whether the flow has runs here."""
        return bool(self._storage.children(keys.runs(flow)))

    def runs(self, flow: str, status: State | None = None) -> Iterator[RunInfo]:
        """One listing, and two or three requests for each run that is looked at."""
        store = self._store(flow)
        ids = store.runs()
        created = dict(
            zip(ids, self._map(lambda run: self._created_at(store, run), ids), strict=True)
        )
        ids.sort(key=lambda run: (created[run], run), reverse=True)
        for info in self._map(lambda run: self.run(flow, run), ids):
            if info and status in (None, info.status):
                yield info

    def run(self, flow: str, run: str) -> RunInfo | None:
        """By how it ended, or by what its last step has left."""
        store = self._store(flow)
        end = store.read_run_end(run)
        if end is None:
            # First whether there is such a run at all: nobody may have written its document yet.
            if not store.steps(run) and self.run_spec(flow, run) is None:
                return None
            last = self.end_task(flow, run)
            status: State = "succeeded" if last and last.status == "succeeded" else "running"
            finished_at = last.finished_at if last and status == "succeeded" else None
        else:
            status, finished_at = end.status, end.finished_at
        return RunInfo(flow, run, status, self._created_at(store, run) or None, finished_at)

    def steps(self, flow: str, run: str) -> list[str]:
        """One listing, and the first task of each step for when it began."""
        store = self._store(flow)
        names = store.steps(run)

        def first_seen(step: str) -> tuple[str, str]:
            tasks = self._storage.children(keys.step(flow, run, step))
            first = newest_first(map(keys.name_of, tasks))[-1]
            info = self.task(flow, run, step, first)
            # A step that has no result yet runs now, so it sorts as the newest.
            return (info.started_at or "~" if info else "~", step)

        return [step for _, step in sorted(self._map(first_seen, names), reverse=True)]

    def tasks(self, flow: str, run: str, step: str) -> Iterator[TaskInfo]:
        """One listing, and one request for each task that is looked at."""
        store = self._store(flow)
        found = store.attempts(run, step).get(step, {})
        yield from self._map(lambda task: self._task(store, run, found[task]), newest_first(found))

    def task(self, flow: str, run: str, step: str, task: str) -> TaskInfo | None:
        """Two requests if the newest attempt has succeeded."""
        attempts = self._storage.children(keys.task(flow, run, step, task))
        refs = [TaskRef(step, task, number) for number in sorted(map(int, attempts))]
        return self._task(self._store(flow), run, refs) if refs else None

    def store(self, flow: str, run: str) -> FlowDatastore:  # noqa: ARG002  # one for all runs
        """This datastore."""
        return self._store(flow)

    def _store(self, flow: str) -> FlowDatastore:
        return FlowDatastore(self._storage, flow)

    def _task(self, store: FlowDatastore, run: str, refs: Sequence[TaskRef]) -> TaskInfo:
        """A task by its attempts, oldest first. One request if its newest attempt succeeded."""
        newest = None
        for ref in reversed(refs):
            result = store.find_result(run, ref)
            if result and result.succeeded:
                return TaskInfo.of(result)
            if ref == refs[-1]:
                newest = result
        if newest is not None:
            return TaskInfo.of(newest)
        # No result: it runs, unless its run has ended and took it along.
        last, end = refs[-1], store.read_run_end(run)
        if end is None:
            return TaskInfo(last.step, last.task, last.attempt, "running")
        return TaskInfo(last.step, last.task, last.attempt, "failed", finished_at=end.finished_at)

    def _created_at(self, store: FlowDatastore, run: str) -> str:
        """When a run was created; empty if nothing says it."""
        if match := _LAPTOP_RUN.match(run):
            year, month, day, hour, minute, second = match.groups()
            return f"{year}-{month}-{day}T{hour}:{minute}:{second}+00:00"
        key = (store.flow, run)
        if key not in self._created:
            try:
                spec: RunSpec = store.read_run(run)
            except KeyNotFound:
                return ""
            self._created[key] = spec.created_at
        return self._created[key]

    def _map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """``map``, many at once where that pays, and not far beyond what is asked for."""
        rest = iter(items)
        if not self._storage.remote:
            yield from map(function, rest)
            return
        yield from map(function, islice(rest, 1))  # who wants only the newest pays for no more
        first = list(islice(rest, _PARALLEL))
        if not first:
            return
        with ThreadPoolExecutor(min(_PARALLEL, len(first))) as pool:
            chunk = first
            while chunk:
                yield from pool.map(function, chunk)
                chunk = list(islice(rest, _PARALLEL))
