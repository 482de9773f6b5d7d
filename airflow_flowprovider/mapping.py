"""What of a flow becomes what of a DAG, where that is not one step, one task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowsdk.graph import FlowGraph, Node
from flowsdk.lint import Problem


@dataclass(frozen=True)
class ForeachGroup:
    """The body of a foreach: a mapped TaskGroup.

    Attributes:
        group_id: Id of the TaskGroup; no step has this name.
        split: Name of the step that splits.
        var: Name of the artifact iterated over.
        steps: Names of the steps in the body, in topological order.
    """

    group_id: str
    split: str
    var: str
    steps: tuple[str, ...]


def foreach_groups(graph: FlowGraph) -> dict[str, ForeachGroup]:
    """The mapped TaskGroups of a flow, by the name of the step that splits."""
    taken = set(graph.nodes)
    groups: dict[str, ForeachGroup] = {}
    order = graph.topological()
    for node in order:
        if node.kind != "foreach" or node.foreach is None:
            continue
        group_id = _unused(f"foreach_{node.foreach}", taken)
        taken.add(group_id)
        steps = tuple(member.name for member in order if member.foreaches == (node.name,))
        groups[node.name] = ForeachGroup(group_id, node.name, node.foreach, steps)
    return groups


def unsupported(graph: FlowGraph) -> list[Problem]:
    """What a well-formed flow has that cannot be expressed as a DAG, in the order of the source."""
    return sorted(_unsupported(graph), key=lambda problem: (problem.file, problem.line))


def _unsupported(graph: FlowGraph) -> Iterator[Problem]:
    for node in graph:
        if node.kind == "switch":
            yield _problem(node, "a switch", "Airflow decides skips before the step has run.")
        elif node.num_parallel:
            yield _problem(node, "num_parallel", "It needs a multi-node job.")
        elif node.allow_empty:
            yield _problem(
                node,
                "a foreach with allow_empty",
                "Airflow skips what comes after a TaskGroup that is mapped over nothing.",
            )
        elif node.kind == "foreach" and node.foreaches:
            yield _problem(
                node,
                f"a foreach inside the foreach of step {node.foreaches[-1]!r}",
                "Airflow does not map inside a mapped TaskGroup.",
            )


def _problem(node: Node, found: str, why: str) -> Problem:
    return Problem(
        node.file,
        node.next_line or node.line,
        node.name,
        "airflow",
        f"Step {node.name!r} has {found}, which cannot run as a DAG yet. {why}",
        f"Run the flow with 'python {node.file} run'.",
    )


def _unused(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate
