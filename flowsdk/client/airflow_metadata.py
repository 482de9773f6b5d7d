"""Metadata from an Airflow: its runs and states, and what the operators left of the tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from flowsdk.client.airflow_api import GET_PAGE, AirflowApi
from flowsdk.client.airflow_rows import (
    AIRFLOW_STATES,
    RECORD_KEY,
    TAGS_KEY,
    Snapshot,
    TagsRow,
    run_info,
    tasks_of_sets,
)
from flowsdk.client.airflow_snapshots import Snapshots, archived
from flowsdk.client.airflow_xcoms import FlowXComs
from flowsdk.client.metadata import ANY, MetadataProvider, RunInfo, State, TaskInfo, newest_first
from flowsdk.datastore import FlowDatastore
from flowsdk.datastore.tags import RunTags
from flowsdk.exception import ClientError, NotFound

__all__ = ["RECORD_KEY", "TAGS_KEY", "AirflowMetadata"]

_FRESH_SECONDS = 2.0
_RUNS = "/api/v2/dags/~/dagRuns/list"
#: Runs of a first page that nobody may read to its end.
_FEW = 10


class AirflowMetadata(MetadataProvider):
    """The runs that an Airflow knows.

    How it works:
        States come from Airflow's public API. What a task has left behind is in its *task record*,
        an XCom; the tags of a run are one too, at its start step. XComs are read for many runs in
        one request where the provider's plugin is installed, and one by one through the public API
        where it is not. All tasks of a hundred runs thus take three requests.
    Known limitation:
        A run that Airflow has deleted is found only if FLOWSDK_DATASTORE says where it lies. Tags
        that were given to a run after its start are lost when its start step is cleared: Airflow
        then deletes that task's XComs. Of two edits of a run's tags in the same moment, one is lost.

    Args:
        url: Of the API server, without a slash at its end.
    """

    def __init__(self, url: str) -> None:
        self.name = f"airflow@{url}"
        self.fresh_seconds = _FRESH_SECONDS
        self._api = AirflowApi(url)
        self._xcoms = FlowXComs(self._api)
        self._snapshots = Snapshots(self._api, self._xcoms, _FRESH_SECONDS)
        # Who asks for one task of thousands that stand together mostly asks for the others, too.
        self._latest: tuple[Snapshot, str, Mapping[str, TaskInfo]] | None = None

    def flows(self) -> list[str]:
        """The DAGs that were made from flows, by their tag."""
        dags = self._api.get_pages("/api/v2/dags", "dags", {"tags": "flow"}, GET_PAGE)
        return sorted(dag["dag_id"] for dag in dags)

    def has_flow(self, flow: str) -> bool:
        """One request."""
        return self._api.get(f"/api/v2/dags/{_quoted(flow)}") is not None

    def has_runs(self, flow: str, tags: frozenset[str]) -> bool:
        """A request for each page of runs, and one for its tags, until a run has them."""
        return any(True for _ in self.runs(flow, tags=tags))

    def runs(
        self,
        flow: str,
        status: State | None = None,
        tags: frozenset[str] = ANY,
        *,
        ahead: bool = False,
    ) -> Iterator[RunInfo]:
        """One request for a page of runs, and one for their tags if those matter."""
        # Airflow's own row numbers: the order in which runs were made, which no date of a run is.
        body: dict[str, Any] = {"dag_ids": [flow], "order_by": "-id"}
        if status:
            body["states"] = AIRFLOW_STATES[status]
        page = GET_PAGE if ahead or tags else _FEW
        for rows in self._api.whole_pages(_RUNS, "dag_runs", body, page):
            infos = self._with_tags(flow, [run_info(row) for row in rows], tags)
            if ahead:
                self._snapshots.will_be_asked(flow, [info.run for info in infos])
            yield from infos

    def run(self, flow: str, run: str) -> RunInfo | None:
        """One request."""
        found = self._api.get(f"/api/v2/dags/{_quoted(flow)}/dagRuns/{_quoted(run)}")
        if found:
            return run_info(found)
        archive = archived()
        return archive.run(flow, run) if archive else None

    def tags(self, flow: str, run: str) -> RunTags:
        """One request, or none if the run's tasks have just been asked for."""
        if row := self._tags_row(flow, run):
            return row.tags
        # The start step has not begun, or it was before there were tags in Airflow.
        try:
            spec = self.run_spec(flow, run)
        except NotFound:
            spec = None
        if spec:
            return RunTags.of(spec)
        info = self.run(flow, run)
        return RunTags(system=tuple(_user_tags(info)) if info else ())

    def edit_tags(self, flow: str, run: str, edit: Callable[[RunTags], RunTags]) -> RunTags:
        """Three requests; the edit of somebody else in the same moment may be lost."""
        self._snapshots.forget(flow, run)
        row = self._xcoms.read_tags(flow, [run]).get(run)
        old = row.tags if row else self.tags(flow, run)
        new = edit(old)
        if new != old:
            step = row.step if row else self._start_step(flow, run)
            self._xcoms.write_tags(flow, run, step, new, new=row is None)
            self._snapshots.forget(flow, run)
        return new

    def steps(self, flow: str, run: str) -> list[str]:
        """Two requests, which also answer for all tasks of the run for a moment."""
        snapshot = self._snapshots.of(flow, run)
        steps, sets = snapshot.steps, snapshot.sets

        def first_seen(step: str) -> tuple[str, str]:
            infos = steps[step].values()
            began = [
                *(info.started_at for info in infos),
                *(entry.started_at for entry in sets.get(step, ())),
            ]
            return (min(time or "~" for time in began), step)

        return sorted(steps, key=first_seen, reverse=True)

    def tasks(self, flow: str, run: str, step: str) -> Iterator[TaskInfo]:
        """As ``steps``, and a read of the datastore for each set of tasks."""
        tasks = self._tasks(flow, run, step)
        return (tasks[task] for task in newest_first(tasks))

    def task(self, flow: str, run: str, step: str, task: str) -> TaskInfo | None:
        """As ``tasks``."""
        return self._tasks(flow, run, step).get(task)

    def store(self, flow: str, run: str) -> FlowDatastore:
        """The datastore that the run's task records point to."""
        snapshot = self._snapshots.of(flow, run)
        root = snapshot.root or os.environ.get("FLOWSDK_DATASTORE")
        if root is None:
            raise NotFound(
                f"Run {flow}/{run}: no task has finished yet, so Airflow cannot say where its data "
                f"lies. Set FLOWSDK_DATASTORE to the provider's datastore, or wait."
            )
        return FlowDatastore.at(root, snapshot.flow or flow)

    def _tasks(self, flow: str, run: str, step: str) -> Mapping[str, TaskInfo]:
        snapshot = self._snapshots.of(flow, run)
        alone, sets = snapshot.steps.get(step, {}), snapshot.sets.get(step)
        if not sets or not (snapshot.root or os.environ.get("FLOWSDK_DATASTORE")):
            return alone
        if self._latest and self._latest[0] is snapshot and self._latest[1] == step:
            return self._latest[2]
        tasks = tasks_of_sets(run, step, alone, sets, self.store(flow, run))
        self._latest = (snapshot, step, tasks)
        return tasks

    def _tags_row(self, flow: str, run: str) -> TagsRow | None:
        snapshot = self._snapshots.at_hand(flow, run)
        if snapshot:
            return snapshot.tags
        return self._xcoms.read_tags(flow, [run]).get(run)

    def _with_tags(
        self, flow: str, infos: Sequence[RunInfo], tags: frozenset[str]
    ) -> list[RunInfo]:
        """Those of a page of runs that have all of the tags."""
        undecided = [info.run for info in infos if not tags.issubset(_user_tags(info))]
        rows: Mapping[str, TagsRow] = self._xcoms.read_tags(flow, undecided)
        left_out = set(undecided) - {run for run, row in rows.items() if tags <= row.tags.all}
        return [info for info in infos if info.run not in left_out]

    def _start_step(self, flow: str, run: str) -> str:
        steps = self.steps(flow, run)
        if not steps:
            raise ClientError(
                f"Run {flow}/{run}: found no step that has begun, expected the start step, which "
                f"holds the run's tags in Airflow. Wait until it runs."
            )
        return steps[-1]


def _user_tags(info: RunInfo) -> list[str]:
    """The system tag that a row of Airflow's runs says."""
    return [f"user:{info.user}"] if info.user else []


def _quoted(name: str) -> str:
    return quote(name, safe="~")
