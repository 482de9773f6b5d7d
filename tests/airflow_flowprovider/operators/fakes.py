"""What an operator meets of Airflow, without Airflow's database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from airflow_flowprovider.records import RECORD_KEY
from flowsdk.datastore import FlowDatastore
from flowsdk.flow import graph_of
from flowsdk.record import TaskRecord
from flowsdk.spec import ForeachFrame, Splits, TaskSpec
from tests.airflow_flowprovider.operators.flows import SampleFlow
from tests.flowsdk.aws_batch.fakes import succeed

RUN = "manual__2026-11-21T09:00:00+00:00"
FLOW = "SampleFlow"
SPLITS = Splits(var="names", count=2, values="digest", labels=("one", "two"))
XComs = dict[tuple[str, str, int], Any]


@dataclass
class FakeTaskInstance:
    """A running task instance; XComs are shared by all of a run."""

    task_id: str
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 2
    xcoms: XComs = field(default_factory=dict)
    state: str = "running"
    dag_id: str = FLOW
    run_id: str = RUN
    others: dict[str, str] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[self.task_id, key, self.map_index] = value

    def xcom_pull(self, task_ids: str, *, key: str, **how: Any) -> Any:
        if "map_indexes" in how:
            return self.xcoms.get((task_ids, key, how["map_indexes"]))
        # As Airflow: what is missing is left out, and one comes by itself. The order is that of the
        # map indices there, but nothing should rest on it.
        found = [v for (t, k, _), v in reversed(self.xcoms.items()) if (t, k) == (task_ids, key)]
        return found[0] if len(found) == 1 else found

    def get_task_states(self, task_ids: list[str], **_: Any) -> dict[str, dict[str, str]]:
        states = {**self.others, self.task_id: self.state}
        return {self.run_id: {task: states[task] for task in task_ids if task in states}}

    def own(self, key: str) -> Any:
        return self.xcoms.get((self.task_id, key, self.map_index))


def context(
    ti: FakeTaskInstance, params: Mapping[str, Any] | None = None, **dag_run: Any
) -> dict[str, Any]:
    """Airflow's context as far as it is used."""
    return {
        "ti": ti,
        "run_id": ti.run_id,
        "params": dict(params or {}),
        "dag_run": SimpleNamespace(**dag_run),
        "task": SimpleNamespace(owner="airflow"),
    }


def finish(
    store: FlowDatastore,
    xcoms: XComs,
    step: str,
    foreach: tuple[ForeachFrame, ...] = (),
    attempt: int = 0,
    **fields: Any,
) -> TaskRecord:
    """Leave what a finished task leaves: its result, and its record."""
    index = foreach[-1].index if foreach else None
    task = "0" if index is None else str(index)
    spec = TaskSpec(FLOW, RUN, step, task, attempt, store.storage.root, foreach=foreach)
    store.write_spec(spec)
    result = succeed(store, spec, **{"next": graph_of(SampleFlow)[step].next, **fields})
    record = TaskRecord.of(result, store.result_uri(RUN, result.ref))
    xcoms[step, RECORD_KEY, -1 if index is None else index] = record.to_dict()
    return record


def frame(index: int) -> ForeachFrame:
    return SPLITS.frame("start", index)
