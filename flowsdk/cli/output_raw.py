"""``python flow.py output-raw``: the graph as data."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from flowsdk.flow import FlowSpec
from flowsdk.graph_info import graph_info


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The options of ``output-raw``."""
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Print all that is known of the steps."""
    info = graph_info(flow)
    if args.json:
        sys.stdout.write(f"{json.dumps(info, indent=2, default=repr)}\n")
    else:
        for step in info["steps"].values():
            sys.stdout.write("\n".join([f"Step {step['name']}", *_facts(step), ""]))
    return 0


def _facts(step: dict[str, Any]) -> Iterator[str]:
    for name, value in step.items():
        if name != "name" and value not in ("", None, [], {}):
            yield f"    {name}: {value if isinstance(value, str) else json.dumps(value, default=repr)}"
