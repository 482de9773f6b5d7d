"""What flows leave in Airflow's database: task records, an XCom of a few KB each, and runs' tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from flowsdk.datastore.tags import RunTags
from flowsdk.record import TaskRecord
from flowsdk.spec import RunSpec

#: XCom key of a task's record. The client of flowsdk and the UI plugin read it under this name.
RECORD_KEY = "flow_task"
#: XCom key of a run's tags, at its start step; read and changed by the client of flowsdk.
TAGS_KEY = "flow_tags"
#: Follows the map index (``0`` if there is none) where a record of several tasks names the task.
SEVERAL = "-*"


class TaskInstance(Protocol):
    """What is used here of Airflow's running task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None
    try_number: int
    max_tries: int

    def xcom_push(self, key: str, value: Any) -> None:
        """Store a value under a key."""

    def xcom_pull(self, task_ids: str, *, key: str, **how: Any) -> Any:
        """Read what another task instance of the run stored."""


def push_record(ti: TaskInstance, record: TaskRecord) -> None:
    """Store the record of the task that ``ti`` has just finished."""
    ti.xcom_push(key=RECORD_KEY, value=record.to_dict())


async def push_from_trigger(ti: TaskInstance, values: Mapping[str, Any]) -> None:
    """Store values under keys, from the process that runs the triggers of tasks."""
    from airflow.sdk.execution_time.xcom import XCom

    map_index = -1 if ti.map_index is None else ti.map_index
    for key, value in values.items():
        await XCom.aset(
            key,
            value,
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            run_id=ti.run_id,
            map_index=map_index,
        )


def push_tags(ti: TaskInstance, run: RunSpec) -> None:
    """Store the tags that a run begins with, at its start step's task instance."""
    ti.xcom_push(key=TAGS_KEY, value=RunTags.of(run).to_dict())


def find_record(ti: TaskInstance, step: str, map_index: int) -> TaskRecord | None:
    """The record of one task instance of another step; None if it has left none."""
    found = ti.xcom_pull(step, key=RECORD_KEY, map_indexes=map_index)
    return None if found is None else TaskRecord.from_dict(found, f"XCom {RECORD_KEY} of {step}")


def pull_records(ti: TaskInstance, step: str) -> list[TaskRecord]:
    """The records of all tasks of a mapped step that have one, in no particular order."""
    # One request. Airflow leaves out what is missing, and a single value comes without a list.
    found = ti.xcom_pull(step, key=RECORD_KEY)
    values = [found] if isinstance(found, dict) else found or []
    return [
        TaskRecord.from_dict(value, f"XCom {RECORD_KEY} of {step}")
        for value in values
        if value is not None
    ]
