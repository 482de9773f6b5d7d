from __future__ import annotations

import asyncio
import linecache
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowsdk import FlowSpec, NBRunner
from flowsdk.exception import UsageError
from flowsdk.runner.notebook import source_of

CELL = """
from flowsdk import FlowSpec, NBRunner, Parameter, step
get_ipython().run_line_magic("matplotlib", "inline")
files = get_ipython().run_line_magic("sx", "ls")
FACTOR = 2

class CellFlow(FlowSpec):
    alpha = Parameter("alpha", default=1)

    @step
    def start(self):
        self.twice = FACTOR * self.alpha
        self.next(self.end)

    @step
    def end(self):
        pass

run = NBRunner(CellFlow).nbrun(alpha=4)
print(run.data.twice, undefined_in_the_flows_own_process)
"""


def defined(cell: str, name: str = "<cell 1>") -> dict[str, Any]:
    """What a notebook has after a cell: up to the line that runs the flow."""
    code, _, _ = cell.partition("run = NBRunner")
    linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
    # The magic's name: IPython defines it in every notebook.
    namespace: dict[str, Any] = {"__name__": "__main__", "get_ipython": lambda: IPython}
    exec(compile(code, name, "exec"), namespace)
    return namespace


class IPython:
    """The little of IPython that a cell calls."""

    @staticmethod
    def run_line_magic(*_: str) -> None:
        """Do nothing."""


def flow_files(folder: Path) -> list[Path]:
    return list(folder.glob("CellFlow_*.py"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_flow_of_a_cell_is_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flow = defined(CELL)["CellFlow"]
    runner = NBRunner(flow, show_output=False)
    run = runner.nbrun(alpha=5, tags=["cell"])
    assert (run.data.twice, run.user_tags) == (10, {"cell"})
    assert runner.nbresume(step_to_rerun="end").origin_pathspec == run.pathspec
    assert [path.name for path in here.iterdir()] == [".flowsdk"]
    assert capsys.readouterr() == ("", "")


def test_async_runs_leave_nothing_after_cleanup(here: Path) -> None:
    flow = defined(CELL)["CellFlow"]

    async def story() -> None:
        runner = NBRunner(flow)
        running = await runner.async_run(alpha=1)
        await running.wait()
        assert running.run.data.twice == 2
        assert len(flow_files(here)) == 1
        resumed = await runner.async_resume(step_to_rerun="start")
        await resumed.wait()
        assert resumed.status == "successful"
        runner.cleanup()

    asyncio.run(story())
    assert not flow_files(here)


def test_modules_are_imported_from_the_base_folder(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "factor_module.py").write_text("FACTOR = 100\n")
    cell = CELL.replace("FACTOR = 2", "try:\n    from factor_module import FACTOR\nexcept ImportError:\n    pass")  # fmt: skip
    flow = defined(cell, "<cell 2>")["CellFlow"]
    assert NBRunner(flow, base_dir=base, show_output=False).nbrun(alpha=1).data.twice == 100


def test_lines_keep_their_numbers_and_what_runs_the_flow_is_left_out() -> None:
    source = source_of(defined(CELL)["CellFlow"])
    lines, given = source.splitlines(), CELL.splitlines()
    at = given.index("class CellFlow(FlowSpec):")
    assert lines[at : at + 12] == given[at : at + 12]
    assert "nbrun" not in source
    assert "undefined" not in source
    assert "get_ipython" not in source
    assert source.endswith('if __name__ == "__main__":\n    CellFlow()\n')


def test_a_flow_of_a_plain_module_is_run_below_its_main(here: Path) -> None:
    module = "".join(
        line
        for line in CELL.partition("run = NBRunner")[0].splitlines(keepends=True)
        if "get_ipython" not in line
    )
    (here / "script.py").write_text(
        f'{module}\nif __name__ == "__main__":\n'
        f"    print(NBRunner(CellFlow, show_output=False).nbrun(alpha=3).data.twice)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "script.py"],
        env={"PYTHONPATH": str(root), "HOME": str(here), "PATH": ""},
        cwd=here, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("6\n", 0), done.stderr
    # Where it would start itself for ever, it says so.
    (here / "script.py").write_text(
        f"{module}\ndef go():\n    NBRunner(CellFlow).nbrun()\n\ngo()\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        env={"PYTHONPATH": str(root), "HOME": str(here), "PATH": ""},
        cwd=here, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "found it run by its own file, which would go on for ever" in done.stderr


def test_a_flow_without_source() -> None:
    with pytest.raises(UsageError, match="found no step in the class itself"):
        NBRunner(type("EmptyFlow", (FlowSpec,), {}))
    flow = defined(CELL, "<cell 3>")["CellFlow"]
    del linecache.cache["<cell 3>"]
    with pytest.raises(UsageError, match="found no source there"):
        NBRunner(flow)
