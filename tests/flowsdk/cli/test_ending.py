"""How command lines end whose output cannot be written; the rest is in ``test_run``."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, subprocess, sys
from flowsdk.cli.ending import exit_code

def command():
    with open("first", "w") as file:  # of the number that stdout had, if nothing has it
        print("printed")
        print("printed", file=sys.stderr)
        subprocess.run(["echo", "echoed"], check=True)
        file.write("written")
    return 3

sys.exit(exit_code(command))
"""


def _run(folder: Path, redirection: str) -> subprocess.CompletedProcess[str]:
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)} {redirection}"
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_output_that_the_caller_has_closed_vanishes(tmp_path: Path, closed: str) -> None:
    done = _run(tmp_path, closed)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert (tmp_path / "first").read_text() == "written"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_is_told_without_a_traceback(tmp_path: Path) -> None:
    done = _run(tmp_path, ">/dev/full")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("No space left on device")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
