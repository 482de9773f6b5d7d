"""Flows given as the sources of their steps."""

from __future__ import annotations

import textwrap
from pathlib import Path

from flowsdk import FlowSpec
from tests.flowsdk.flows import import_flow


def flow_of(folder: Path, *steps: str, head: str = "") -> type[FlowSpec]:
    """A flow ``F`` of steps, each given as the source of a method without ``@step``."""
    parts = ["import os, sys, time\nfrom flowsdk import parallel\nclass F(FlowSpec):\n"]
    parts += [textwrap.indent(textwrap.dedent(head), "    ")] if head else []
    for step in steps:
        text = textwrap.dedent(step).strip("\n")
        parts.append(textwrap.indent(text if text.startswith("@") else f"@step\n{text}", "    "))
        parts.append("\n")
    return import_flow(folder, "".join(parts))


START = "def start(self):\n    {}\n"
END = "def end(self): pass"
JOIN = "def join(self, inputs):\n    self.inputs = len(inputs)\n    self.next(self.end)"
