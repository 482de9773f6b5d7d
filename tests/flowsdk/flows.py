"""Flows made from text, for tests of what a user may write."""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from flowsdk import FlowSpec

ROOT = Path(__file__).parents[2]
HEADER = """\
from flowsdk import FlowSpec, JSONType, Parameter, batch, current, environment
from flowsdk import resources, retry, schedule, step, timeout
"""
_numbers = itertools.count()


def write_flow(folder: Path, body: str, name: str = "flow.py") -> Path:
    """A flow file of ``body`` below the imports; line 1 of the body is line 3 of the file."""
    path = folder / name
    path.write_text(HEADER + textwrap.dedent(body).lstrip("\n"), "utf-8")
    return path


def import_flow(folder: Path, body: str) -> type[FlowSpec]:
    """The one flow class that ``body`` defines."""
    path = write_flow(folder, body)
    name = f"flow_under_test_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    flows = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, FlowSpec) and value.__module__ == name
    ]
    return flows[-1]


def run_flow(
    path: Path, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``python flow.py …`` in the flow's folder, with nothing in its environment but a PATH."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(path.parent),
        "PYTHONPATH": str(ROOT),
        "FLOWSDK_USER": "tester",
        **(env or {}),
    }
    return subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=path.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
