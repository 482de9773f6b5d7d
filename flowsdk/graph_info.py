"""A flow's graph as plain data, in the form that Metaflow's tools and cards read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowsdk.decorators.base import Decorator
from flowsdk.graph import FlowGraph, Node


def graph_info(flow: type) -> dict[str, Any]:
    """The graph of a flow class as a dict.

    Returns:
        ``file``, ``doc``, ``parameters`` and ``constants`` (``name`` and ``type`` each),
        ``decorators`` of the flow, ``steps`` (by name: ``type``, ``line``, ``doc``, ``next``,
        ``decorators``, ``matching_join`` and what the type needs) and ``graph_structure``, the names
        of the steps in order, with the branches of a split as a list of lists after its step.
    """
    from flowsdk.decorators.prepare import prepare
    from flowsdk.flow import constants_of, graph_of
    from flowsdk.parameters import collect_parameters

    graph, prepared = graph_of(flow), prepare(flow)
    steps = {
        node.name: _step(graph, node, prepared.decorators.get(node.name, ())) for node in graph
    }
    return {
        "file": Path(graph.file).name,
        "doc": graph.doc,
        "parameters": [
            {"name": name, "type": getattr(parameter.type, "__name__", str(parameter.type))}
            for name, parameter in collect_parameters(flow).items()
        ],
        "constants": [
            {"name": name, "type": type(value).__name__}
            for name, value in constants_of(flow).items()
        ],
        "steps": steps,
        "graph_structure": _structure(graph, graph.start, None),
        "decorators": [
            _decorator(decorator)
            for group in prepared.flow_decorators.values()
            for decorator in group
        ],
    }


def _decorator(decorator: Decorator) -> dict[str, Any]:
    return {"name": decorator.name, "attributes": dict(decorator.attributes)}


def _step(graph: FlowGraph, node: Node, decorators: Sequence[Decorator]) -> dict[str, Any]:
    info: dict[str, Any] = {
        "name": node.name,
        "type": _type(graph, node),
        "line": node.line,
        "source_file": Path(node.file).name,
        "doc": node.doc,
        "decorators": [_decorator(decorator) for decorator in decorators],
        "next": list(node.next),
    }
    if node.num_parallel:
        info["num_parallel"] = True
    elif node.foreach:
        info["foreach_artifact"] = node.foreach
    elif node.kind == "switch":
        info["condition"] = node.condition
        info["switch_cases"] = {str(case): step for case, step in node.cases.items()}
    join = _join_of(graph, node.name)
    return {**info, "matching_join": join} if join else info


def _type(graph: FlowGraph, node: Node) -> str:
    if node.num_parallel:
        return "split-parallel"
    if node.kind in ("split", "foreach", "switch"):
        return {"split": "split-static"}.get(node.kind, f"split-{node.kind}")
    if node.name == graph.end:
        return "end"
    if node.name == graph.start:
        return "start"
    return "join" if node.is_join else "linear"


def _join_of(graph: FlowGraph, split: str) -> str | None:
    return next((node.name for node in graph if node.join_of == split), None)


def _structure(graph: FlowGraph, name: str | None, until: str | None) -> list[Any]:
    found: list[Any] = []
    seen: set[str] = set()
    while name is not None and name != until and name in graph and name not in seen:
        node = graph[name]
        seen.add(name)
        found.append(name)
        others = [step for step in node.next if step != name]
        if node.kind in ("split", "foreach"):
            name = _join_of(graph, name)
        elif node.kind == "switch":
            name = _meeting_point(graph, others)
        else:
            name = others[0] if others else None
            continue
        if branches := [_structure(graph, step, name) for step in others if step != name]:
            found.append(branches)
    return found


def _meeting_point(graph: FlowGraph, steps: Sequence[str]) -> str | None:
    """The first step that all cases of a switch come to, one of them perhaps at once."""
    common = frozenset.intersection(*(graph.descendants(step) | {step} for step in steps))
    return next((node.name for node in graph.topological() if node.name in common), None)
