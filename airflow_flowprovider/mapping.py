"""What of a flow becomes what of a DAG, where that is not one step, one task instance.

The outermost foreach is a TaskGroup that Airflow maps, unless its steps ask for arrays. Airflow maps
nothing inside of what is mapped; what lies deeper runs as sets of tasks, each set one task instance. So
does a gang, which is launched, tried again and ended as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowsdk.decorators.settings import step_settings
from flowsdk.flow import FlowSpec, graph_of
from flowsdk.graph import FlowGraph, Node
from flowsdk.succession import may_be_skipped


@dataclass(frozen=True)
class ForeachGroup:
    """The body of an outermost foreach: a TaskGroup.

    Attributes:
        group_id: Id of the TaskGroup; no step has this name.
        split: Name of the step that splits.
        var: Name of the artifact iterated over; empty for a gang.
        steps: Names of the steps in the body, those of inner foreaches included, in topological
            order.
        mapped: Whether Airflow maps it. If not, each step is one task instance for all splits.
    """

    group_id: str
    split: str
    var: str
    steps: tuple[str, ...]
    mapped: bool


class FlowMapping:
    """The TaskGroups of a flow.

    Args:
        flow: The flow class.
    """

    def __init__(self, flow: type[FlowSpec]) -> None:
        self.groups = {group.split: group for group in _groups(flow, graph_of(flow))}
        self._openers = {
            step: group.split
            for group in self.groups.values()
            if group.mapped
            for step in group.steps
        }

    def opener_of(self, step: str) -> str | None:
        """The step whose splits a step is mapped over; None if it is not mapped."""
        return self._openers.get(step)


def trigger_rule(graph: FlowGraph, node: Node) -> str:
    """When Airflow may run the task of a step.

    A task behind a switch decides for itself whether it runs, for Airflow's own branching does not
    skip siblings inside of what is mapped (apache/airflow#67265), and a join inside a mapped group
    fails in all splits with ``none_failed_min_one_success`` as soon as one split fails.

    Args:
        graph: The flow's graph.
        node: The step.
    """
    parents = [graph[name] for name in node.parents if name != node.name]
    waits_for_several = node.is_join or len(parents) > 1
    if waits_for_several and any(may_be_skipped(graph, parent) for parent in parents):
        return "none_failed"
    return "all_success"


def _groups(flow: type[FlowSpec], graph: FlowGraph) -> Iterator[ForeachGroup]:
    taken = set(graph.nodes)
    order = graph.topological()
    for node in order:
        if node.kind != "foreach" or node.foreaches:
            continue
        group_id = _unused(
            f"foreach_{node.foreach}" if node.foreach else f"gang_{node.name}", taken
        )
        taken.add(group_id)
        steps = tuple(member.name for member in order if member.foreaches[:1] == (node.name,))
        as_arrays = any(step_settings(flow, step).array for step in steps)
        mapped = not (as_arrays or node.num_parallel)
        yield ForeachGroup(group_id, node.name, node.foreach or "", steps, mapped)


def _unused(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate
