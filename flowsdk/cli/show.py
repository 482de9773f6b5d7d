"""``python flow.py show``."""

from __future__ import annotations

import argparse
import json
import sys
from textwrap import indent

from flowsdk.flow import FlowSpec, graph_of


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The options of ``show``."""
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Print the flow's description and its steps in the order in which they run."""
    if args.json:
        from flowsdk.graph_info import graph_info

        described = {"flow": flow.__name__, **graph_info(flow)}
        sys.stdout.write(f"{json.dumps(described, indent=2, default=repr)}\n")
        return 0
    graph = graph_of(flow)
    lines = ["", graph.doc] if graph.doc else []
    for node in graph.topological():
        lines += ["", f"Step {node.name}", indent(node.doc or "?", "    ")]
        if node.next:
            lines.append(f"    => {', '.join(node.next)}")
    sys.stdout.write("\n".join([*lines, ""]))
    return 0
