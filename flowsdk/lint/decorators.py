"""Decorators that do not fit their step's place in the graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowsdk.graph import FlowGraph, Node
from flowsdk.lint.problem import Problem, problem_at


def decorator_problems(graph: FlowGraph, added: Sequence[str] = ()) -> Iterator[Problem]:
    """What is wrong with the steps' decorators.

    Args:
        graph: The flow.
        added: Names of the decorators that ``--with`` adds to every step.
    """
    for node in graph:
        if "catch" in (*node.decorators, *added) and (chosen := _chosen_by(node)):
            here = "has @catch" if "catch" in node.decorators else "would have @catch from --with"
            yield problem_at(
                node,
                "catch",
                f"Step {node.name!r} {here} and ends in {chosen}, and a step that has failed cannot "
                f"say what follows.",
                f"Put @catch on another step, and let that one go on to a step that ends in {chosen}.",
            )


def _chosen_by(node: Node) -> str | None:
    """What the step's code decides about the transition; None if the source says all of it."""
    if node.kind == "switch":
        return "a switch"
    if node.num_parallel:
        return "num_parallel"
    return "a foreach" if node.kind == "foreach" else None
