"""Which tasks a task instance has to run, read from the records of the steps before it.

A step outside a mapped TaskGroup is one task instance with map index -1, which runs all tasks of the
step. Inside one, a task instance runs the tasks of its chunk of the outermost foreach; mostly a chunk
is one split. Nothing is taken from positions: Airflow leaves missing records out of what it returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_flowprovider.mapping import FlowMapping
from airflow_flowprovider.records import SEVERAL, TaskInstance, find_record, pull_records
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import FlowException
from flowsdk.graph import FlowGraph, Node
from flowsdk.record import TaskRecord
from flowsdk.succession import Planned, looked_at, may_be_skipped, planned_tasks
from flowsdk.taskset import Outcome

#: Of a task instance that is not mapped.
UNMAPPED = -1
_SHOWN = 5


class Parents:
    """What the steps before a task instance have left.

    Args:
        ti: Airflow's task instance.
        graph: The flow's graph.
        mapping: What of the flow is mapped.
        node: The step.
        store: The flow's datastore.
    """

    def __init__(
        self,
        ti: TaskInstance,
        graph: FlowGraph,
        mapping: FlowMapping,
        node: Node,
        store: FlowDatastore,
    ) -> None:
        self._ti = ti
        self._graph = graph
        self._mapping = mapping
        self._node = node
        self._store = store

    def tasks(self) -> list[Planned]:
        """The tasks to run; none if the step is skipped.

        Raises:
            FlowException: No record leads to a step that no run skips, a parent failed, or an input of a
                join is missing.
        """
        steps = looked_at(self._node)
        records = self._without_removed({step: self._records(step) for step in steps})
        _require_success(self._node, [r for found in records.values() for r in found])
        outcomes = {step: self._outcomes(found) for step, found in records.items()}
        planned = planned_tasks(self._graph, self._node, outcomes)
        if not planned:
            self._require_skip([step for step in steps if not records[step]], steps)
        opener = self._mapping.opener_of(self._node.name)
        if opener not in steps or self._map_index == UNMAPPED or self._node.join_of == opener:
            return planned
        return self._own_chunk(planned, records[opener][0])

    def _require_skip(self, silent: Sequence[str], parents: Sequence[str]) -> None:
        """Raise if the step has no task for another reason than that the run goes another way.

        Args:
            silent: The parents without a record. That is as it should be if they were skipped, but
                not if they were marked as success by hand: nobody knows then where they lead.
            parents: All of them.
        """
        marked = [step for step in silent if self._has_succeeded(step)]
        if not marked and may_be_skipped(self._graph, self._node):
            return
        missing = marked or silent or parents
        raise FlowException(
            f"Step {self._ti.task_id!r} (run {self._ti.run_id}{self._at}): found no task record "
            f"of its parents {', '.join(map(repr, missing))}, expected one that leads to it. If "
            f"one was marked as success by hand, clear it so that it runs."
        )

    def _has_succeeded(self, step: str) -> bool:
        """Whether Airflow has task instances of a step, of those looked at here, as successful."""
        ti: Any = self._ti
        mapped = self._mapping.opener_of(step) is not None
        states = ti.get_task_states(
            dag_id=ti.dag_id,
            task_ids=[self._task_id(step)],
            run_ids=[ti.run_id],
            map_index=self._map_index if mapped and self._map_index != UNMAPPED else None,
        )
        return "success" in {str(state) for state in states.get(ti.run_id, {}).values()}

    @property
    def _map_index(self) -> int:
        return UNMAPPED if self._ti.map_index is None else self._ti.map_index

    @property
    def _at(self) -> str:
        return "" if self._map_index == UNMAPPED else f", map index {self._map_index}"

    def _task_id(self, step: str) -> str:
        """Id of the task of another step: in a group of a DAG, ids have the group's as a prefix."""
        return f"{self._ti.task_id.removesuffix(self._node.name)}{step}"

    def _records(self, step: str) -> list[TaskRecord]:
        """The records of a step that count for this task instance."""
        if self._mapping.opener_of(step) is None:
            found = find_record(self._ti, self._task_id(step), UNMAPPED)
        elif self._map_index == UNMAPPED:
            return pull_records(self._ti, self._task_id(step))
        else:
            found = find_record(self._ti, self._task_id(step), self._map_index)
        return [] if found is None else [found]

    def _without_removed(
        self, records: Mapping[str, Sequence[TaskRecord]]
    ) -> dict[str, list[TaskRecord]]:
        """Leave out the records of map indices that are no more.

        The step that split has run again and made fewer. Airflow keeps what the others have left, and
        nobody can clear those that had failed.
        """
        openers = {step: records.get(self._mapping.opener_of(step) or "") for step in records}
        return {
            step: [r for r in found if not (opener := openers[step]) or _is_there(r, opener[0])]
            for step, found in records.items()
        }

    def _outcomes(self, records: Sequence[TaskRecord]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        # A join after a foreach in chunks has a thousand of them.
        sets = iter(self._store.read_set_outcomes(r.outcome for r in records if r.outcome))
        for record in records:
            if record.outcome is not None:
                outcomes += next(sets).outcomes
            elif record.splits is not None:
                # The record has no room for the names of the splits.
                outcomes.append(Outcome.of(self._store.read_result(record.run, record.ref)))
            else:
                outcomes.append(Outcome(record.ref, record.foreach, record.next))
        return outcomes

    def _own_chunk(self, planned: Sequence[Planned], opener: TaskRecord) -> list[Planned]:
        """Of the tasks of all splits of the outermost foreach, those of this map index."""
        first = self._map_index * opener.chunk
        own = [p for p in planned if first <= p.foreach[0].index < first + opener.chunk]
        if not own:
            raise FlowException(
                f"Step {self._node.name!r} (map index {self._map_index}): found {len(planned)} "
                f"splits in the result of {opener.step!r}, expected more than {first}. Clear "
                f"{opener.step!r} with its downstream tasks."
            )
        return own


def _is_there(record: TaskRecord, opener: TaskRecord) -> bool:
    """Whether a task instance of a mapped step is one of those that its foreach has now."""
    splits = opener.splits or 0
    if record.foreach:
        return record.foreach[0].index < splits
    return int(record.task.removesuffix(SEVERAL)) * opener.chunk < splits


def _require_success(node: Node, records: Sequence[TaskRecord]) -> None:
    failed = [str(record.ref) for record in records if record.status != "succeeded"]
    if failed:
        raise FlowException(
            f"Step {node.name!r}: found failed parent tasks ({', '.join(failed[:_SHOWN])}), "
            f"expected successful ones. Clear them so that they run again."
        )
