"""The tasks of runs of an Airflow: asked for run by run, or for many runs at once."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flowsdk.client.airflow_api import PAGE, AirflowApi
from flowsdk.client.airflow_rows import Snapshot, snapshot_of
from flowsdk.client.airflow_xcoms import FlowXComs
from flowsdk.client.datastore_metadata import DatastoreMetadata

_INSTANCES = "/api/v2/dags/~/dagRuns/~/taskInstances/list"
#: So many runs, with so many task instances at most, are read together.
_AHEAD_RUNS = 100
_AHEAD = 2000
#: How long what was read ahead waits for somebody to ask for it, in seconds.
_AHEAD_SECONDS = 60.0
_KEPT = 64

RunKey = tuple[str, str]


@dataclass
class _Listing:
    """Runs of a flow that somebody is going through.

    Attributes:
        runs: Those that have not been read, in the order of the listing.
        together: How many of them to read at once.
    """

    runs: list[str]
    together: int = _AHEAD_RUNS


class Snapshots:
    """Tasks of runs, as they were a moment ago.

    How it works:
        A snapshot takes two requests: the task instances, and what the operators have left of them.
        Where somebody goes through the runs of a flow, it takes the same two for a whole page of
        runs. What is read ahead counts from when it is first asked for: a loop over many runs sees
        each as it was when the loop began.

    Args:
        api: Of the Airflow.
        xcoms: Of the same.
        fresh_seconds: How long the tasks of a run are taken to be what they were: long enough for a
            loop over them to need one snapshot, short enough for a loop that waits for them.
    """

    def __init__(self, api: AirflowApi, xcoms: FlowXComs, fresh_seconds: float) -> None:
        self._api = api
        self._xcoms = xcoms
        self.fresh_seconds = fresh_seconds
        self._kept: dict[RunKey, tuple[float, Snapshot]] = {}
        self._ahead: dict[RunKey, tuple[float, Snapshot]] = {}
        self._listings: dict[str, _Listing] = {}

    def will_be_asked(self, flow: str, runs: Sequence[str]) -> None:
        """Say that somebody goes through these runs and may look into each."""
        self._listings.setdefault(flow, _Listing([])).runs = list(runs)

    def of(self, flow: str, run: str) -> Snapshot:
        """The tasks of a run."""
        if found := self.at_hand(flow, run):
            return found
        snapshot = self._read_ahead(flow, run) or self._read(flow, run)
        if not snapshot.steps and (archive := archived()):
            snapshot = _snapshot_from(archive, flow, run)
        self._keep((flow, run), snapshot)
        return snapshot

    def at_hand(self, flow: str, run: str) -> Snapshot | None:
        """The same if that takes no request."""
        key, now = (flow, run), time.monotonic()
        if waiting := self._ahead.pop(key, None):
            taken_at, snapshot = waiting
            if now - taken_at < _AHEAD_SECONDS:
                self._keep(key, snapshot)
                return snapshot
        if kept := self._kept.get(key):
            taken_at, snapshot = kept
            if now - taken_at < self.fresh_seconds:
                return snapshot
        return None

    def forget(self, flow: str, run: str) -> None:
        """Ask again for this run: it has just been changed."""
        self._kept.pop((flow, run), None)
        self._ahead.pop((flow, run), None)

    def _keep(self, key: RunKey, snapshot: Snapshot) -> None:
        self._kept.pop(key, None)
        self._kept[key] = (time.monotonic(), snapshot)
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]

    def _read(self, flow: str, run: str) -> Snapshot:
        # States first: a task that ends between the two requests then has a record too many
        # rather than one too few.
        instances = list(self._api.pages(_INSTANCES, "task_instances", _filter(flow, [run]), PAGE))
        return snapshot_of(run, instances, self._xcoms.read_one(flow, run))

    def _read_ahead(self, flow: str, run: str) -> Snapshot | None:
        """Read a run together with those that come after it; None if that does not pay."""
        listing = self._listings.get(flow)
        if listing is None or run not in listing.runs:
            return None
        # What came before has been passed by.
        waiting = listing.runs[listing.runs.index(run) :]
        runs, listing.runs = waiting[: listing.together], waiting[listing.together :]
        if len(runs) < 2:
            return None
        body = _filter(flow, runs)
        instances = self._api.only_page(_INSTANCES, "task_instances", body, _AHEAD)
        if instances is None:
            listing.runs, listing.together = waiting[1:], max(1, listing.together // 4)
            return None
        rows = self._xcoms.read(flow, runs)
        if rows is None:  # without the plugin each XCom is a request, wanted or not
            listing.runs = []
            return None
        by_run: dict[str, list[Any]] = defaultdict(list)
        for instance in instances:
            by_run[instance["dag_run_id"]].append(instance)
        now = time.monotonic()
        found = {name: snapshot_of(name, by_run[name], rows) for name in runs}
        self._ahead = {(flow, name): (now, snapshot) for name, snapshot in found.items()}
        return self._ahead.pop((flow, run))[1]


def archived() -> DatastoreMetadata | None:
    """Where runs may lie that Airflow has deleted."""
    root = os.environ.get("FLOWSDK_DATASTORE")
    return DatastoreMetadata(root) if root else None


def _filter(flow: str, runs: Sequence[str]) -> dict[str, Any]:
    return {"dag_ids": [flow], "dag_run_ids": list(runs), "order_by": "id"}


def _snapshot_from(archive: DatastoreMetadata, flow: str, run: str) -> Snapshot:
    steps = {
        step: {info.task: info for info in archive.tasks(flow, run, step)}
        for step in archive.steps(flow, run)
    }
    return Snapshot(steps, archive.store(flow, run).storage.root)
