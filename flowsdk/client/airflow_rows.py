"""What rows of Airflow's API mean: its states, task instances and XComs in the client's words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowsdk.client.metadata import RunInfo, State, TaskInfo
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.datastore.tags import RunTags
from flowsdk.planning import PLAIN_TASK
from flowsdk.record import TaskRecord

#: XCom key of the task records.
RECORD_KEY = "flow_task"
#: XCom key of a run's tags, at its start step.
TAGS_KEY = "flow_tags"

#: The operator of a flow's steps; other tasks of its DAG are sensors before them.
_STEP_OPERATOR = "FlowStepOperator"
RUN_STATES: Mapping[str, State] = {"success": "succeeded", "failed": "failed"}
AIRFLOW_STATES = {"succeeded": ["success"], "failed": ["failed"], "running": ["queued", "running"]}
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
class TagsRow:
    """The XCom that holds a run's tags.

    Attributes:
        step: The task that it belongs to: the start step.
        tags: The tags.
    """

    step: str
    tags: RunTags


@dataclass(frozen=True)
class Rows:
    """What the operators have left of some runs of a DAG.

    Attributes:
        records: Run → (task id, map index) → task record.
        tags: Run → its tags, of runs whose start step has begun.
    """

    records: dict[str, dict[tuple[str, int], TaskRecord]] = field(default_factory=dict)
    tags: dict[str, TagsRow] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskSet:
    """A task instance that stands for several tasks, or may.

    Attributes:
        part: Its name within the step.
        running: Whether it runs (again).
        record: What it has left; None if nothing, and then it may be one task after all.
        started_at: When.
    """

    part: str
    running: bool
    record: TaskRecord | None
    started_at: str | None

    @property
    def outcome(self) -> str | None:
        """Where it says how its tasks ended; None if not all have succeeded, or some run again."""
        return None if self.running or self.record is None else self.record.outcome


@dataclass(frozen=True)
class Snapshot:
    """The tasks of one run as they were a moment ago.

    Attributes:
        steps: Step → task id → task.
        root: URI of the run's datastore, or None while no task has a record.
        flow: What the flow is called there; a DAG in a project has a longer name. None likewise.
        tags: Its tags, or None while nothing says them.
        sets: Step → task instances that stand for several tasks, which ``steps`` has not, or may, of
            which it has what they are if they do not.
    """

    steps: Mapping[str, Mapping[str, TaskInfo]]
    root: str | None
    flow: str | None = None
    tags: TagsRow | None = None
    sets: Mapping[str, Sequence[TaskSet]] = field(default_factory=dict)


def run_info(run: Mapping[str, Any]) -> RunInfo:
    """A row of Airflow's DAG runs."""
    status = RUN_STATES.get(run["state"], "running")
    return RunInfo(
        flow=run["dag_id"],
        run=run["dag_run_id"],
        status=status,
        created_at=run["queued_at"] or run["start_date"] or run["run_after"],
        finished_at=None if status == "running" else run["end_date"],
        user=run.get("triggering_user_name"),
    )


def snapshot_of(run: str, instances: Iterable[Mapping[str, Any]], rows: Rows) -> Snapshot:
    """The tasks of a run.

    Args:
        run: Run id.
        instances: Its task instances.
        rows: What the operators have left.
    """
    steps: dict[str, dict[str, TaskInfo]] = {}
    sets: dict[str, list[TaskSet]] = {}
    records = rows.records.get(run, {})
    any_record = next(iter(records.values()), None)
    for instance in instances:
        if instance["operator"] != _STEP_OPERATOR:
            continue
        record = records.get((instance["task_id"], instance["map_index"]))
        info = _task_info(instance, record)
        if info is None:
            continue
        tasks = steps.setdefault(info.step, {})
        if record is None or record.count > 1:
            entry = TaskSet(_part(instance), info.status == "running", record, info.started_at)
            sets.setdefault(info.step, []).append(entry)
        if record is None or record.count == 1:
            tasks[info.task] = info
    return Snapshot(
        steps,
        root=keys.root_of(any_record.result, any_record.flow) if any_record else None,
        flow=any_record.flow if any_record else None,
        tags=rows.tags.get(run),
        sets=sets,
    )


def tasks_of_sets(
    run: str,
    step: str,
    alone: Mapping[str, TaskInfo],
    sets: Sequence[TaskSet],
    store: FlowDatastore,
) -> dict[str, TaskInfo]:
    """All tasks of a step, by task id.

    Args:
        run: Run id.
        step: Name of the step.
        alone: The snapshot's tasks of the step.
        sets: What else it has of the step.
        store: Where the records lead.
    """
    found: dict[str, TaskInfo] = {}
    unsettled = [entry for entry in sets if entry.outcome is None]
    if unsettled:  # what each of their tasks has left must be looked up, and lies with all others
        generations = store.set_generations(run, step)
        # One that has left nothing may be one task; several were launched together.
        unsettled = [entry for entry in unsettled if entry.record or entry.part in generations]
    if unsettled:
        since = min(generations.get(entry.part, 0) for entry in unsettled)
        running = any(entry.running for entry in unsettled)
        found |= _left_by(run, step, since, running, store)
    # What is known of a task by itself is better than what was found beside others.
    several = {entry.part for entry in unsettled if entry.record is None}
    found |= {task: info for task, info in alone.items() if task not in several}
    settled = ((entry.record, entry.outcome) for entry in sets)
    for record, outcome in settled:
        if record is None or outcome is None:
            continue
        for task in store.read_set_outcome(outcome).outcomes:
            found[task.ref.task] = TaskInfo(
                step=task.ref.step,
                task=task.ref.task,
                attempt=task.ref.attempt,
                status="succeeded",
                started_at=record.started_at,
                finished_at=record.finished_at,
                next=task.next,
                foreach=task.foreach,
            )
    return found


def _left_by(
    run: str, step: str, since: int, running: bool, store: FlowDatastore
) -> dict[str, TaskInfo]:
    """The newest attempt of each task of a step; without a result it runs, if any of them do.

    A task whose attempts all come before ``since`` was one before its step was cleared, and is none now.
    """
    attempts = store.attempts(run, step).get(step, {})
    newest = [refs[-1] for refs in attempts.values() if refs[-1].attempt >= since]
    otherwise: State = "running" if running else "failed"
    return {
        ref.task: TaskInfo.of(result)
        if result
        else TaskInfo(ref.step, ref.task, ref.attempt, otherwise)
        for ref, result in zip(newest, store.find_results(run, newest), strict=True)
    }


def record_of(row: Mapping[str, Any], value: Any) -> TaskRecord:
    """The task record in an XCom's value."""
    return TaskRecord.from_dict(_plain(value), _where(RECORD_KEY, row))


def tags_of(row: Mapping[str, Any], value: Any) -> TagsRow:
    """The tags in an XCom's value."""
    return TagsRow(row["task_id"], RunTags.from_dict(_plain(value), _where(TAGS_KEY, row)))


def _plain(value: Any) -> Any:
    """The public API gives an XCom's JSON text, the plugin its value.

    Airflow 3.1 and 3.2 store the text of what a client has sent: then that is one text more.
    """
    while isinstance(value, str):
        value = json.loads(value)
    return value


def _where(key: str, row: Mapping[str, Any]) -> str:
    return f"{key} of task {row['task_id']}, map index {row['map_index']}"


def _part(instance: Mapping[str, Any]) -> str:
    """The name of a task instance within its step; of one task, the task's id."""
    index = instance["map_index"]
    return PLAIN_TASK if index < 0 else str(index)


def _task_info(instance: Mapping[str, Any], record: TaskRecord | None) -> TaskInfo | None:
    """The task that an instance is, or None while it has not been started."""
    status = _TASK_STATES.get(instance["state"] or "")
    if status is None and instance["start_date"] and instance["state"] in ("queued", "scheduled"):
        status = "running"  # it waits to be resumed or tried again
    if status is None:
        return None
    if record is None or (status == "running" and record.attempt < instance["try_number"] - 1):
        return TaskInfo(
            step=instance["task_id"],
            task=_part(instance),
            attempt=max(0, instance["try_number"] - 1),
            status=status,
            started_at=instance["start_date"],
            finished_at=None if status == "running" else instance["end_date"],
        )
    complete = len(record.artifacts) == record.artifact_count
    return TaskInfo(
        step=record.step,
        task=record.task,
        attempt=record.attempt,
        status=status,
        started_at=record.started_at,
        finished_at=None if status == "running" else record.finished_at,
        next=record.next,
        foreach=record.foreach,
        artifacts=record.artifacts if complete else None,
    )
