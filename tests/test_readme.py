"""The README's code runs and prints what it says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.flowsdk.flows import run_flow

README = Path(__file__).parents[1] / "README.md"


def test_the_flow_runs_and_the_client_reads_it(tmp_path: Path) -> None:
    flow, reader = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (tmp_path / "scores.py").write_text(flow, "utf-8")
    done = run_flow(tmp_path / "scores.py", "run")
    assert done.returncode == 0, done.stderr
    assert "best: 9" in done.stdout
    (tmp_path / "read.py").write_text(reader, "utf-8")
    read = run_flow(tmp_path / "read.py")
    assert read.stdout.strip() == "9 [9, 4, 1]", read.stderr


def test_it_begins_with_the_two_commands() -> None:
    text = README.read_text("utf-8")
    block = text.split("```")[1]
    assert [line.split()[:2] for line in block.strip().splitlines()] == [
        ["make", "demo"],
        ["make", "test"],
    ]
