"""Which finished tasks a task instance follows, read from the records of its parents.

A step outside a foreach is one task instance with map index -1; inside one, a task instance has the
map index of its split. Joins take their inputs from the records themselves and not from positions:
Airflow leaves missing ones out of what it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_flowprovider.records import TaskInstance, pull_record, pull_records
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import FlowException
from flowsdk.graph import FlowGraph, Node
from flowsdk.planning import frames_of
from flowsdk.spec import ForeachFrame, TaskRecord, TaskRef

#: Of a task instance that is not mapped.
UNMAPPED = -1
_SHOWN = 5


@dataclass(frozen=True)
class Lineage:
    """Where a task comes from.

    Attributes:
        parents: The attempts whose artifacts come in; of a join one per input, in input order.
        foreach: The foreach levels around the task, outermost first.
    """

    parents: tuple[TaskRef, ...] = ()
    foreach: tuple[ForeachFrame, ...] = ()

    @property
    def label(self) -> str:
        """Short name of the innermost split; empty outside a foreach."""
        return self.foreach[-1].label if self.foreach else ""


def lineage(ti: TaskInstance, graph: FlowGraph, node: Node, store: FlowDatastore) -> Lineage:
    """The parents of the task that ``ti`` is, and the foreach levels around it.

    Args:
        ti: Airflow's task instance.
        graph: The flow's graph.
        node: The step.
        store: The flow's datastore.

    Raises:
        FlowException: A parent has no record, or failed.
    """
    if not node.parents:
        return Lineage()
    if node.join_of is not None and graph[node.join_of].kind == "foreach":
        records = _splits_in_order(ti, node)
        return _lineage(graph, node, records)
    opener = graph[node.parents[0]]
    if opener.kind == "foreach":
        return _first_of_split(ti, graph, node, opener, store)
    map_index = _map_index(ti) if node.foreaches else UNMAPPED
    records = [pull_record(ti, parent, map_index) for parent in node.parents]
    return _lineage(graph, node, records)


def _lineage(graph: FlowGraph, node: Node, records: Sequence[TaskRecord]) -> Lineage:
    _require_success(node, records)
    first = records[0]
    return Lineage(
        parents=tuple(record.ref for record in records),
        foreach=frames_of(graph, node, first.step, first.foreach),
    )


def _first_of_split(
    ti: TaskInstance, graph: FlowGraph, node: Node, opener: Node, store: FlowDatastore
) -> Lineage:
    """The first step within a foreach: its one parent is the step that split."""
    map_index = _map_index(ti)
    record = pull_record(ti, opener.name, UNMAPPED)
    _require_success(node, [record])
    splits = store.read_result(record.run, record.ref).splits
    if splits is None or map_index >= splits.count:
        raise FlowException(
            f"Step {node.name!r} (map index {map_index}): found {splits.count if splits else 0} "
            f"splits in the result of {opener.name!r}, expected more than {map_index}. Clear "
            f"{opener.name!r} with its downstream tasks."
        )
    frames = frames_of(graph, node, opener.name, record.foreach, splits, map_index)
    return Lineage(parents=(record.ref,), foreach=frames)


def _splits_in_order(ti: TaskInstance, node: Node) -> list[TaskRecord]:
    """The inputs of a join that closes a foreach: of each split, one for each parent step."""
    opener = str(node.join_of)
    expected = pull_record(ti, opener, UNMAPPED).splits or 0
    found: dict[tuple[int, int], TaskRecord] = {}
    for position, parent in enumerate(node.parents):
        for record in pull_records(ti, parent):
            found[record.foreach[-1].index, position] = record
    missing = [
        f"{parent}[{index}]"
        for index in range(expected)
        for position, parent in enumerate(node.parents)
        if (index, position) not in found
    ]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise FlowException(
            f"Join {node.name!r} (run {ti.run_id}): found no task record of "
            f"{', '.join(missing[:_SHOWN])}{more}, expected one of each of the {expected} splits of "
            f"{opener!r}. Clear those that were skipped or marked as success by hand."
        )
    # Splits beyond the expected ones are of an earlier, wider run of the step that split.
    return [record for (index, _), record in sorted(found.items()) if index < expected]


def _map_index(ti: TaskInstance) -> int:
    return UNMAPPED if ti.map_index is None else ti.map_index


def _require_success(node: Node, records: Sequence[TaskRecord]) -> None:
    failed = [str(record.ref) for record in records if record.status != "succeeded"]
    if failed:
        raise FlowException(
            f"Step {node.name!r}: found failed parent tasks ({', '.join(failed[:_SHOWN])}), "
            f"expected successful ones. Clear them so that they run again."
        )
