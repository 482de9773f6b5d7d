"""Metadata from an Airflow: its runs and states, and the task records that the operators left."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from flowsdk.client.airflow_api import PAGE, AirflowApi
from flowsdk.client.datastore_metadata import DatastoreMetadata
from flowsdk.client.metadata import (
    MetadataProvider,
    RunInfo,
    State,
    TaskInfo,
    newest_first,
)
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.exception import NotFound
from flowsdk.planning import PLAIN_TASK
from flowsdk.spec import TaskRecord

#: XCom key of the task records.
RECORD_KEY = "flow_task"
#: How long the tasks of a run are taken to be what they were, in seconds: long enough for a loop
#: over them to need one request, short enough for a loop that waits for them.
_FRESH_SECONDS = 2.0
_KEPT_RUNS = 64
#: ``[api] maximum_page_limit`` unless an administrator changed it.
_GET_PAGE = 100
_PARALLEL = 8
_RUN_STATES: Mapping[str, State] = {"success": "succeeded", "failed": "failed"}
_AIRFLOW_STATES = {"succeeded": ["success"], "failed": ["failed"], "running": ["queued", "running"]}
_TASK_STATES: Mapping[str, State] = {
    "success": "succeeded",
    "failed": "failed",
    "running": "running",
    "deferred": "running",
    "restarting": "running",
    "up_for_retry": "running",
    "up_for_reschedule": "running",
}


@dataclass(frozen=True)
class _Snapshot:
    """The tasks of one run as they were a moment ago.

    Attributes:
        steps: Step → task id → task.
        root: URI of the run's datastore, or None while no task has a record.
        taken_at: On the monotonic clock.
    """

    steps: Mapping[str, Mapping[str, TaskInfo]]
    root: str | None
    taken_at: float = field(default_factory=time.monotonic)


class AirflowMetadata(MetadataProvider):
    """The runs that an Airflow knows.

    How it works:
        States come from Airflow's public API. What a task has left behind is in its *task record*,
        read for a whole run in one request where the provider's plugin is installed, and one by
        one through the public API where it is not. All tasks of a run thus take two requests.
    Known limitation:
        A run that Airflow has deleted is found only if FLOWSDK_DATASTORE says where it lies.

    Args:
        url: Of the API server, without a slash at its end.
    """

    def __init__(self, url: str) -> None:
        self.name = f"airflow@{url}"
        self._api = AirflowApi(url)
        self._snapshots: dict[tuple[str, str], _Snapshot] = {}

    def flows(self) -> list[str]:
        """The DAGs that were made from flows, by their tag."""
        query = {"tags": "flow"}
        dags = self._api.get_pages("/api/v2/dags", "dags", query, _GET_PAGE) or []
        return sorted(dag["dag_id"] for dag in dags)

    def has_flow(self, flow: str) -> bool:
        """One request."""
        return self._api.get(f"/api/v2/dags/{_quoted(flow)}") is not None

    def runs(self, flow: str, status: State | None = None) -> Iterator[RunInfo]:
        """One request for the newest hundred, then one for each further thousand."""
        # Airflow's own row numbers: the order in which runs were made, which no date of a run is.
        body: dict[str, Any] = {"dag_ids": [flow], "order_by": "-id"}
        if status:
            body["states"] = _AIRFLOW_STATES[status]
        path = "/api/v2/dags/~/dagRuns/list"
        for run in self._api.pages(path, "dag_runs", body, _GET_PAGE):
            yield _run_info(run)

    def run(self, flow: str, run: str) -> RunInfo | None:
        """One request."""
        found = self._api.get(f"/api/v2/dags/{_quoted(flow)}/dagRuns/{_quoted(run)}")
        if found:
            return _run_info(found)
        archive = _archive()
        return archive.run(flow, run) if archive else None

    def steps(self, flow: str, run: str) -> list[str]:
        """Two requests, which also answer for all tasks of the run for a moment."""
        steps = self._snapshot(flow, run).steps

        def first_seen(step: str) -> tuple[str, str]:
            return (min(info.started_at or "~" for info in steps[step].values()), step)

        return sorted(steps, key=first_seen, reverse=True)

    def tasks(self, flow: str, run: str, step: str) -> Iterator[TaskInfo]:
        """As ``steps``."""
        tasks = self._snapshot(flow, run).steps.get(step, {})
        return (tasks[task] for task in newest_first(tasks))

    def task(self, flow: str, run: str, step: str, task: str) -> TaskInfo | None:
        """As ``steps``."""
        return self._snapshot(flow, run).steps.get(step, {}).get(task)

    def store(self, flow: str, run: str) -> FlowDatastore:
        """The datastore that the run's task records point to."""
        root = self._snapshot(flow, run).root or os.environ.get("FLOWSDK_DATASTORE")
        if root is None:
            raise NotFound(
                f"Run {flow}/{run}: no task has finished yet, so Airflow cannot say where its data "
                f"lies. Set FLOWSDK_DATASTORE to the provider's datastore, or wait."
            )
        return FlowDatastore.at(root, flow)

    def _snapshot(self, flow: str, run: str) -> _Snapshot:
        kept = self._snapshots.get((flow, run))
        if kept and time.monotonic() - kept.taken_at < _FRESH_SECONDS:
            return kept
        instances = self._api.pages(
            "/api/v2/dags/~/dagRuns/~/taskInstances/list",
            "task_instances",
            {"dag_ids": [flow], "dag_run_ids": [run], "order_by": "id"},
            PAGE,
        )
        # States first: a task that ends between the two requests then has a record too many
        # rather than one too few.
        snapshot = _snapshot_of(list(instances), self._records(flow, run))
        if not snapshot.steps and (archive := _archive()):
            snapshot = _snapshot_from(archive, flow, run)
        self._snapshots.pop((flow, run), None)
        self._snapshots[flow, run] = snapshot
        while len(self._snapshots) > _KEPT_RUNS:
            del self._snapshots[next(iter(self._snapshots))]
        return snapshot

    def _records(self, flow: str, run: str) -> dict[tuple[str, int], TaskRecord]:
        """The task records of a run by task id and map index."""
        path = f"/flowprovider/api/dags/{_quoted(flow)}/records"
        rows = self._api.get_pages(path, "records", {"run_id": run}, PAGE)
        if rows is None:
            rows = self._records_one_by_one(flow, run)
        return {(row["task_id"], row["map_index"]): _record(row["record"], row) for row in rows}

    def _records_one_by_one(self, flow: str, run: str) -> list[dict[str, Any]]:
        base = f"/api/v2/dags/{_quoted(flow)}/dagRuns/{_quoted(run)}/taskInstances"
        query = {"xcom_key": RECORD_KEY}
        entries = self._api.get_pages(f"{base}/~/xcomEntries", "xcom_entries", query, _GET_PAGE)

        def read(entry: dict[str, Any]) -> dict[str, Any] | None:
            path = f"{base}/{_quoted(entry['task_id'])}/xcomEntries/{RECORD_KEY}"
            value = self._api.get(path, {"map_index": entry["map_index"]})
            return value and {**entry, "record": value["value"]}

        if not entries:
            return []
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return [row for row in pool.map(read, entries) if row]


def _snapshot_of(
    instances: Iterable[Mapping[str, Any]], records: Mapping[tuple[str, int], TaskRecord]
) -> _Snapshot:
    steps: dict[str, dict[str, TaskInfo]] = {}
    root = None
    for instance in instances:
        record = records.get((instance["task_id"], instance["map_index"]))
        if record:
            root = root or _root_of(record)
        info = _task_info(instance, record)
        if info:
            steps.setdefault(info.step, {})[info.task] = info
    return _Snapshot(steps, root)


def _archive() -> DatastoreMetadata | None:
    """Where runs may lie that Airflow has deleted."""
    root = os.environ.get("FLOWSDK_DATASTORE")
    return DatastoreMetadata(root) if root else None


def _snapshot_from(archive: DatastoreMetadata, flow: str, run: str) -> _Snapshot:
    steps = {
        step: {info.task: info for info in archive.tasks(flow, run, step)}
        for step in archive.steps(flow, run)
    }
    return _Snapshot(steps, archive.store(flow, run).storage.root)


def _task_info(instance: Mapping[str, Any], record: TaskRecord | None) -> TaskInfo | None:
    """The task that an instance is, or None while it has not been started."""
    status = _TASK_STATES.get(instance["state"] or "")
    if status is None and instance["start_date"] and instance["state"] in ("queued", "scheduled"):
        status = "running"  # it waits to be resumed or tried again
    if status is None:
        return None
    if record is None or (status == "running" and record.attempt < instance["try_number"] - 1):
        index = instance["map_index"]
        return TaskInfo(
            step=instance["task_id"],
            task=PLAIN_TASK if index < 0 else str(index),
            attempt=max(0, instance["try_number"] - 1),
            status=status,
            started_at=instance["start_date"],
            finished_at=None if status == "running" else instance["end_date"],
        )
    return TaskInfo(
        step=record.step,
        task=record.task,
        attempt=record.attempt,
        status=status,
        started_at=record.started_at,
        finished_at=None if status == "running" else record.finished_at,
        next=record.next,
        foreach=record.foreach,
    )


def _run_info(run: Mapping[str, Any]) -> RunInfo:
    status = _RUN_STATES.get(run["state"], "running")
    return RunInfo(
        flow=run["dag_id"],
        run=run["dag_run_id"],
        status=status,
        created_at=run["queued_at"] or run["start_date"] or run["run_after"],
        finished_at=None if status == "running" else run["end_date"],
    )


def _record(value: Any, row: Mapping[str, Any]) -> TaskRecord:
    """A task record; the public API gives its JSON text, the plugin its value."""
    where = f"{RECORD_KEY} of task {row['task_id']}, map index {row['map_index']}"
    values = json.loads(value) if isinstance(value, str) else value
    return TaskRecord.from_dict(values, where)


def _root_of(record: TaskRecord) -> str:
    """The datastore that a record's result lies in."""
    return record.result.removesuffix("/" + keys.result(record.flow, record.run, record.ref))


def _quoted(name: str) -> str:
    return quote(name, safe="~")
