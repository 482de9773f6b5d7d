"""``flowsdk configure``."""

from __future__ import annotations

import argparse
import json
import os
import sys

from flowsdk.cli.actions import add_actions
from flowsdk.cli.settings import found_in


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions of ``configure`` and their options."""
    show = add_actions(parser, {"show": "show every setting, its value and where it comes from"})
    show["show"].add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    """Print all settings. Those that are secret are masked."""
    found = list(found_in(os.environ))
    if args.json:
        facts = {
            entry.setting.name: {
                "value": entry.value,
                "source": entry.source,
                "meaning": entry.setting.meaning,
            }
            for entry in found
        }
        sys.stdout.write(f"{json.dumps(facts, indent=2)}\n")
        return 0
    for entry in found:
        value = "not set" if entry.value is None else f"= {entry.value}"
        source = (
            f"  (from {entry.source})" if entry.source not in (None, entry.setting.name) else ""
        )
        sys.stdout.write(f"{entry.setting.name} {value}{source}\n    {entry.setting.meaning}\n")
    sys.stdout.write("Settings are read from the environment; export NAME=value changes one.\n")
    return 0
