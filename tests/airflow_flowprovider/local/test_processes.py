"""No command outlives its guardian, its guardian's parent, or its own end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_flowprovider.local.processes import GuardedProcess, ProcessGuardian
from tests.airflow_flowprovider.local.conftest import wait_for

PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}

# Leaves two grandchildren that have detached in the usual ways: one in a session of its own, one
# double-forked, so that its parent is gone.
# Goes on with what the test appends once the test has seen them and made the file `go`.
FAMILY = """
setsid sh -c 'echo $$ > session; sleep 300; true' &
( sh -c 'echo $$ > orphan; sleep 300; true' & )
while ! [ -s session ] || ! [ -s orphan ]; do sleep 0.01; done
echo $$ > main
while ! [ -e go ]; do sleep 0.01; done
"""


@pytest.fixture
def guardian() -> Iterator[ProcessGuardian]:
    with ProcessGuardian() as guardian:
        yield guardian


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def family(folder: Path) -> list[int]:
    """Process ids of the three members of FAMILY, once all have said so."""
    names = ("session", "orphan", "main")
    wait_for(lambda: all((folder / n).exists() and (folder / n).read_text() for n in names))
    pids = [int((folder / name).read_text()) for name in names]
    assert all(map(alive, pids))
    (folder / "go").touch()
    return pids


def run(guardian: ProcessGuardian, folder: Path, script: str) -> GuardedProcess:
    with (folder / "output").open("wb") as output:
        return guardian.spawn(
            ["/bin/sh", "-c", script], env=PATH, cwd=folder, output=output.fileno()
        )


def test_output_environment_folder_and_exit_code(guardian: ProcessGuardian, tmp_path: Path) -> None:
    process = run(guardian, tmp_path, "pwd; env | cut -d= -f1; echo error >&2; exit 7")
    assert process.wait(10) == 7
    lines = (tmp_path / "output").read_text().split()
    assert lines[0] == str(tmp_path)
    assert set(lines[1:]) == {"PATH", "PWD", "error"} | set(lines[1:]) & {"OLDPWD", "_", "SHLVL"}


def test_descendants_end_with_the_command(guardian: ProcessGuardian, tmp_path: Path) -> None:
    process = run(guardian, tmp_path, FAMILY)
    pids = family(tmp_path)
    assert process.wait(10) == 0
    assert not any(map(alive, pids))


def test_a_signal_reaches_the_command_and_death_by_one_is_reported(
    guardian: ProcessGuardian, tmp_path: Path
) -> None:
    process = run(guardian, tmp_path, "echo up > main; exec sleep 300")
    wait_for((tmp_path / "main").exists)
    process.signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM


def test_stop_kills_what_ignores_the_signal(guardian: ProcessGuardian, tmp_path: Path) -> None:
    process = run(guardian, tmp_path, "trap '' TERM;" + FAMILY + "while :; do sleep 0.05; done")
    pids = family(tmp_path)
    assert process.stop(signal.SIGTERM, grace=0.3) == 137
    assert not any(map(alive, pids))


def test_a_command_cannot_hurt_its_keeper_through_its_process_group(
    guardian: ProcessGuardian, tmp_path: Path
) -> None:
    process = run(guardian, tmp_path, FAMILY + "kill -9 0")
    pids = family(tmp_path)
    assert process.wait(10) == 137
    assert not any(map(alive, pids))


def test_what_cannot_be_executed_ends_with_126(guardian: ProcessGuardian, tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb") as output:
        process = guardian.spawn([str(tmp_path)], env={}, cwd="/", output=output.fileno())
    assert process.wait(10) == 126
    assert "Permission denied" in (tmp_path / "output").read_text()


def test_commands_end_when_their_keeper_is_killed(
    guardian: ProcessGuardian, tmp_path: Path
) -> None:
    process = run(guardian, tmp_path, FAMILY + "sleep 300; true")
    pids = family(tmp_path)
    keeper = process.keeper_pid
    assert keeper is not None
    os.kill(keeper, signal.SIGKILL)
    assert process.wait(10) == 137
    wait_for(lambda: not any(map(alive, pids)))


def test_commands_end_when_the_guardian_is_killed(
    guardian: ProcessGuardian, tmp_path: Path
) -> None:
    process = run(guardian, tmp_path, FAMILY + "sleep 300; true")
    pids = family(tmp_path)
    os.kill(guardian.pid, signal.SIGKILL)
    assert process.wait(10) == 137
    wait_for(lambda: not any(map(alive, pids)))


def test_closing_ends_everything(tmp_path: Path) -> None:
    with ProcessGuardian() as guardian:
        process = run(guardian, tmp_path, FAMILY + "sleep 300; true")
        pids = family(tmp_path)
    assert process.poll() == 137
    assert not any(map(alive, pids))


def test_commands_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    parent_script = """
import os, sys, time
from airflow_flowprovider.local.processes import ProcessGuardian
guardian = ProcessGuardian()
argv = ["/bin/sh", "-c", sys.argv[1]]
guardian.spawn(argv, env={"PATH": os.environ["PATH"]}, cwd=sys.argv[2], output=2)
time.sleep(300)
"""
    script = FAMILY + "sleep 300; true"
    with subprocess.Popen(
        [sys.executable, "-c", parent_script, script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as parent:
        pids = family(tmp_path)
        parent.kill()
    wait_for(lambda: not any(map(alive, pids)))
