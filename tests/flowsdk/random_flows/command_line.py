"""``python flow.py …`` without a new interpreter: hundreds of flows are run by these tests."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

from flowsdk.cli.flow import main

_numbers = itertools.count()


@dataclass(frozen=True)
class Done:
    """How a command ended; its representation is what a failing test should show."""

    folder: Path
    source: str
    code: int
    out: str
    err: str

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.err}\n{self.out}\n{self.source}"


def run_command(folder: Path, source: str, *arguments: str, flow: str = "Random") -> Done:
    """Write ``flow.py`` with ``source`` into ``folder`` and carry out a command of its flow."""
    path = folder / "flow.py"
    path.write_text(source, "utf-8")
    name = f"random_flow_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    out, err = io.StringIO(), io.StringIO()
    try:
        spec.loader.exec_module(module)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(
                getattr(module, flow), ["--datastore-root", str(folder / "store"), *arguments]
            )
    finally:
        del sys.modules[name]
    return Done(folder, source, code, out.getvalue(), err.getvalue())
