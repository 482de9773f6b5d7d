"""A run whose process is killed on the spot: nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flowsdk.datastore import FlowDatastore
from tests.flowsdk.flows import ROOT, write_flow

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells of a parent's end"
)

STUBBORN = """
import json, os, subprocess, sys, time
from pathlib import Path

from flowsdk.runtime import processes

processes.GRACE_SECONDS = 0.5


class Stubborn(FlowSpec):
    @step
    def start(self):
        self.ways = ["obeys", "refuses"]
        self.next(self.wait, foreach="ways")

    @step
    def wait(self):
        helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        Path(f"{self.input}.new").write_text(json.dumps([os.getpid(), helper.pid]))
        Path(f"{self.input}.new").rename(f"{self.input}.json")
        while True:
            try:
                time.sleep(300)
            except Exception as error:
                if self.input == "obeys":
                    Path("said").write_text(str(error))
                    helper.kill()
                    raise
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Stubborn()
"""


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    """Whether a process lives; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_tasks_of_a_killed_scheduler_end_with_all_that_they_have_started(tmp_path: Path) -> None:
    path = write_flow(tmp_path, STUBBORN)
    scheduler = subprocess.Popen(
        [sys.executable, str(path), "run"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    notes = [tmp_path / "obeys.json", tmp_path / "refuses.json"]
    until(lambda: all(note.exists() for note in notes))
    pids = [pid for note in notes for pid in json.loads(note.read_text())]
    assert all(map(is_there, pids))
    scheduler.send_signal(signal.SIGKILL)
    assert scheduler.wait(60) == -signal.SIGKILL
    until(lambda: not any(map(is_there, pids)))
    assert "was stopped" in (tmp_path / "said").read_text()
    store = FlowDatastore.at(str(tmp_path / ".flowsdk"), "Stubborn")
    (run,) = store.runs()
    assert store.read_run_end(run) is None
    assert store.last_alive(run), "by which the client can tell that it goes on no more"
