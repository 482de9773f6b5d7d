"""How command lines end whose output cannot be written; the rest is in ``test_run``."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from flowsdk.cli.ending import exit_code

PROGRAM = """
import os, subprocess, sys
from flowsdk.cli.ending import exit_code

def command():
    with open("first", "w") as file:  # of the number that stdout had, if nothing has it
        print("printed", flush=True)
        print("printed", file=sys.stderr)
        subprocess.run(["echo", "echoed"], check=True)
        file.write("written")
    return 3

sys.exit(exit_code(command))
"""


def _run(
    folder: Path, redirection: str, program: str = PROGRAM, **env: str
) -> subprocess.CompletedProcess[str]:
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} {redirection}"
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
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


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_whatever_docstrings_and_logs_hold_is_printed(tmp_path: Path, encoding: str) -> None:
    program = r"""
import sys
from flowsdk.cli.ending import exit_code
sys.exit(exit_code(lambda: print("a \u017f and a \udcff") or 0))
"""
    done = _run(tmp_path, "", program, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(" and a \\udcff\n")


def test_a_folder_that_is_gone_is_told_without_a_traceback(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from flowsdk.cli.ending import exit_code
os.rmdir(os.getcwd())
sys.exit(exit_code(Path.cwd))
"""
    folder = tmp_path / "gone"
    folder.mkdir()
    done = _run(folder, "", program)
    assert done.returncode == 1
    assert done.stderr.startswith("The current folder does not exist any more.")
    assert "Traceback" not in done.stderr


def test_errors_of_the_system_that_say_too_little_keep_their_traceback() -> None:
    with pytest.raises(PermissionError):
        exit_code(_refuse)


def _refuse() -> int:
    raise PermissionError(13, "Permission denied", "/")
