"""``flowsdk status``."""

from __future__ import annotations

import argparse
import json
import sys

from flowsdk.client import Metaflow, get_metadata, namespace
from flowsdk.identity import user_name
from flowsdk.local.root import default_root
from flowsdk.version import VERSION


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``status``."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    """Print where runs lie and how many each flow has, whoever made them."""
    namespace(None)
    facts: dict[str, object] = {
        "version": VERSION,
        "user": user_name(),
        "datastore": default_root(),
        "metadata": get_metadata(),
        "flows": {flow.id: sum(1 for _ in flow) for flow in Metaflow()},
    }
    sys.stdout.write(f"{json.dumps(facts, indent=2)}\n" if args.json else _described(facts))
    return 0


def _described(facts: dict[str, object]) -> str:
    lines = [
        f"flowsdk {facts['version']}",
        f"User:       {facts['user']}",
        f"Datastore:  {facts['datastore']}",
        f"Metadata:   {facts['metadata']}",
    ]
    counts = facts["flows"]
    assert isinstance(counts, dict)
    width = max(map(len, counts), default=0)
    lines += ["Flows:"] if counts else ["No flow has run here yet."]
    lines += [f"    {name:<{width}}  {n} run{'s' * (n != 1)}" for name, n in counts.items()]
    return "\n".join([*lines, ""])
