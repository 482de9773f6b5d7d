"""``python flow.py show``."""

from __future__ import annotations

import argparse
import sys
from textwrap import indent

from flowsdk.flow import FlowSpec, graph_of


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:
    """``show`` has no options."""


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:  # noqa: ARG001  # a command's shape
    """Print the flow's description and its steps in the order in which they run."""
    graph = graph_of(flow)
    lines = ["", graph.doc] if graph.doc else []
    for node in graph.topological():
        lines += ["", f"Step {node.name}", indent(node.doc or "?", "    ")]
        if node.next:
            lines.append(f"    => {', '.join(node.next)}")
    sys.stdout.write("\n".join([*lines, ""]))
    return 0
