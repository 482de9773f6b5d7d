"""``python flow.py output-dot``: the graph for Graphviz."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from flowsdk.flow import FlowSpec, graph_of
from flowsdk.graph import FlowGraph, Node

_SHAPES = {"split": "house", "foreach": "house", "join": "invhouse", "switch": "diamond"}


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:
    """``output-dot`` has no options."""


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:  # noqa: ARG001  # a command's shape
    """Print the graph in the language of ``dot``."""
    sys.stdout.write(dot(graph_of(flow)))
    return 0


def dot(graph: FlowGraph) -> str:
    """A graph in the language of ``dot``: https://graphviz.org/doc/info/lang.html."""
    lines = [f"digraph {_quoted(graph.name)} {{", '    rankdir="LR";']
    for node in graph.topological():
        shape = "invhouse" if node.is_join else _SHAPES.get(node.kind, "box")
        lines.append(f'    {_quoted(node.name)} [shape="{shape}"];')
    for node in graph.topological():
        for target, label in _edges(node):
            attribute = f" [label={_quoted(label)}]" if label else ""
            lines.append(f"    {_quoted(node.name)} -> {_quoted(target)}{attribute};")
    return "\n".join([*lines, "}", ""])


def _edges(node: Node) -> Iterator[tuple[str, str]]:
    """Where a step leads, and on what condition."""
    if node.kind == "switch":
        yield from ((step, f"{node.condition} = {case}") for case, step in node.cases.items())
        return
    for target in node.next:
        if node.num_parallel:
            yield target, "num_parallel"
        else:
            yield target, f"foreach {node.foreach}" if node.foreach else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
