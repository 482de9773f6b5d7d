"""Metadata read from the datastore itself: nothing else is needed, and nothing else is asked."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from itertools import islice
from typing import TypeVar

from flowsdk.client.metadata import (
    ANY,
    MetadataProvider,
    RunInfo,
    State,
    TaskInfo,
    newest_first,
)
from flowsdk.datastore import FlowDatastore, keys, open_storage
from flowsdk.datastore.store import flows
from flowsdk.datastore.tags import RunTags
from flowsdk.exception import KeyNotFound, UnreadableDocument
from flowsdk.spec import RunSpec, TaskRef, TaskSpec

_log = logging.getLogger(__name__)
#: Requests at once where each waits for a network.
_PARALLEL = 32
#: Run ids that say when the run was made: that saves reading a document of each to sort them. On a
#: laptop they begin with it, under Airflow it follows the kind of run. A backfill's id says what
#: day it is for.
_LAPTOP_RUN = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{6})-")
_AIRFLOW_RUN = re.compile(
    r"(?!backfill)[a-z_]+?__(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(\+00:00|Z)"
)
#: Against S3, enough for a loop over a task's attributes to ask once.
_FRESH_SECONDS = 1.0
#: A run that notes once a minute that it goes on, and has not for so long, does so no more. Enough
#: for a note that failed, and for clocks that differ somewhat.
LOST_SECONDS = 300.0

A = TypeVar("A")
B = TypeVar("B")


class DatastoreMetadata(MetadataProvider):
    """The runs that a datastore holds.

    How it works:
        A laptop's run notes its end in a document of its own, and until then now and then that it
        goes on: one that has not done so for minutes was killed, and has failed. Other runs (of an
        Airflow, read without it) note neither: they end as their last step does. Runs are in the order of the times
        in their ids, as far as those have one.
    Known limitation:
        A run of an Airflow that failed before its last step cannot be told from one that is still
        running, nor a laptop's run that stands still, as its machine may while it is suspended, from
        one that was killed. A run of an Airflow that was triggered with
        a logical date of its own is taken to have been made at that date.

    Args:
        root: URI of the datastore.
    """

    def __init__(self, root: str) -> None:
        self._storage = open_storage(root)
        root = self._storage.root
        self.name = root if "://" in root else f"local@{root}"
        self.fresh_seconds = _FRESH_SECONDS if self._storage.remote else 0.0
        #: Documents that never change.
        self._specs: dict[tuple[str, str], RunSpec] = {}
        #: Runs that listings have been silent about, and have said so.
        self._left_out: set[tuple[str, str]] = set()

    def flows(self) -> list[str]:
        """The flows that have runs here."""
        return flows(self._storage)

    def has_flow(self, flow: str) -> bool:
        """Whether the flow has runs here."""
        return bool(self._storage.children(keys.runs(flow)))

    def has_runs(self, flow: str, tags: frozenset[str]) -> bool:
        """One listing, and a request or two for each run until one has the tags."""
        ids = self._newest_first(flow)

        def look(run: str) -> bool | None:
            return self._or_left_out(flow, run, lambda: self.has_tags(flow, run, tags))

        return any(self._map(look, ids))

    def runs(
        self,
        flow: str,
        status: State | None = None,
        tags: frozenset[str] = ANY,
        *,
        ahead: bool = False,  # noqa: ARG002  # what is needed of a run is read with it
    ) -> Iterator[RunInfo]:
        """One listing, and three or four requests for each run that is looked at."""
        ids = self._newest_first(flow)

        def readable(run: str) -> RunInfo | None:
            self.run_spec(flow, run)  # whoever goes on with the run needs it
            return self.run(flow, run) if self.has_tags(flow, run, tags) else None

        def look(run: str) -> RunInfo | None:
            return self._or_left_out(flow, run, lambda: readable(run))

        for info in self._map(look, ids):
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
            status: State = self._outcome(store, run, last) if last else "running"
            finished_at = last.finished_at if last and status != "running" else None
            if status == "running" and (lost := self._lost_at(store, run)):
                status, finished_at = "failed", lost
        else:
            status, finished_at = end.status, end.finished_at
        return RunInfo(flow, run, status, self._created_at(flow, run) or None, finished_at)

    def tags(self, flow: str, run: str) -> RunTags:
        """One listing and one document."""
        try:
            return self._store(flow).read_tags(run)
        except KeyNotFound:  # nobody has written the run's document yet
            return RunTags()

    def has_tags(self, flow: str, run: str, tags: frozenset[str]) -> bool:
        """One document, unless the tags are such that a user may have given them."""
        if not tags:
            return True
        spec = self.run_spec(flow, run)
        return spec is not None and (
            tags.issubset(RunTags.of(spec).system) or tags <= self.tags(flow, run).all
        )

    def edit_tags(self, flow: str, run: str, edit: Callable[[RunTags], RunTags]) -> RunTags:
        """As ``FlowDatastore.edit_tags``."""
        return self._store(flow).edit_tags(run, edit)

    def steps(self, flow: str, run: str) -> list[str]:
        """One listing, and the first task of each step for when it began."""
        store = self._store(flow)
        names = store.steps(run)

        def first_seen(step: str) -> tuple[str, str]:
            tasks = self._storage.children(keys.step(flow, run, step))
            ids = newest_first(map(keys.name_of, tasks))
            # In a folder, a step may be there a moment before its first task is.
            info = self.task(flow, run, step, ids[-1]) if ids else None
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
        ended_at = end.finished_at if end else self._lost_at(store, run)
        if ended_at is None:
            return TaskInfo(last.step, last.task, last.attempt, "running")
        return TaskInfo(last.step, last.task, last.attempt, "failed", finished_at=ended_at)

    def _lost_at(self, store: FlowDatastore, run: str) -> str | None:
        """When a run without an end was last known to go on, if that is too long ago to be so now."""
        alive = store.last_alive(run)
        if alive is None or time.time() - alive <= LOST_SECONDS:
            return None
        return datetime.fromtimestamp(alive, timezone.utc).isoformat(timespec="microseconds")

    def _outcome(self, store: FlowDatastore, run: str, last: TaskInfo) -> State:
        """How a run ended whose end nobody noted, by the task of its last step."""
        if last.status == "failed" and last.result and last.result.error:
            spec: TaskSpec = store.read_spec(run, last.ref)
            again = last.result.error.kind != "user" or spec.retry_count < spec.max_retries
            return "running" if again else "failed"
        return last.status

    def run_spec(self, flow: str, run: str) -> RunSpec | None:
        """One request for each run, once."""
        key = (flow, run)
        if key not in self._specs:
            spec = super().run_spec(flow, run)
            if spec is None:
                return None
            self._specs[key] = spec
        return self._specs[key]

    def _newest_first(self, flow: str) -> list[str]:
        """The ids of all runs. One listing, and a request for each id that says no time."""
        ids = self._store(flow).runs()

        def created_at(run: str) -> str | None:
            return self._or_left_out(flow, run, lambda: self._created_at(flow, run))

        found = zip(ids, self._map(created_at, ids), strict=True)
        created = {run: at for run, at in found if at is not None}
        return sorted(created, key=lambda run: (created[run], run), reverse=True)

    def _or_left_out(self, flow: str, run: str, look: Callable[[], A]) -> A | None:
        """What a look at a run finds; None, and a warning once, if its documents are unreadable."""
        try:
            return look()
        except UnreadableDocument as error:
            if (flow, run) not in self._left_out:
                self._left_out.add((flow, run))
                _log.warning("Run %s/%s is left out: %s", flow, run, error)
            return None

    def _created_at(self, flow: str, run: str) -> str:
        """When a run was created, in UTC with microseconds; empty if nothing says it."""
        if match := _LAPTOP_RUN.match(run):
            year, month, day, hour, minute, second = match.groups()
            return f"{year}-{month}-{day}T{hour}:{minute}:{second}+00:00"
        if match := _AIRFLOW_RUN.match(run):
            fraction = (match[2] or ".")[:7].ljust(7, "0")
            return f"{match[1]}{fraction}+00:00"
        spec = self.run_spec(flow, run)
        return spec.created_at if spec else ""

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
