"""Ctrl-C in a terminal: everything ends, and the terminal is as it was."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.flowsdk.cli.screen import Screen
from tests.flowsdk.flows import ROOT, write_flow

WAITING = """
import os, time
class Waiting(FlowSpec):
    @step
    def start(self):
        self.xs = [1, 2, 3]
        self.next(self.wait, foreach="xs")
    @step
    def wait(self):
        print("waiting in", os.getpid())
        time.sleep(300)
        self.next(self.join)
    @step
    def join(self, inputs):
        self.next(self.end)
    @step
    def end(self):
        pass
if __name__ == "__main__":
    Waiting()
"""


def test_an_interrupt_ends_all_tasks_and_leaves_a_clean_screen(tmp_path: Path) -> None:
    path = write_flow(tmp_path, WAITING)
    master, slave = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT),
                   "TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, str(path), "run"], cwd=tmp_path, env=environment,
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    output = b""
    deadline = time.monotonic() + 60
    while output.count(b"waiting in") < 3:
        assert time.monotonic() < deadline, output
        output += _read(master)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: tasks are in groups of their own
    while more := _read(master):
        output += more
    assert process.wait(60) == 130
    os.close(master)
    screen = Screen(80)
    screen.feed(output.decode())
    *_, board, end, last = screen.lines()
    assert last == "Interrupted."
    assert end.endswith("Workflow failed.")
    assert board.split()[1:2] == ["wait"]
    pids = [int(pid) for pid in re.findall(rb"waiting in (\d+)", output)]
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def _read(fd: int) -> bytes:
    if not select.select([fd], [], [], 60)[0]:
        return b""
    try:
        return os.read(fd, 65536)
    except OSError:  # the other end is closed
        return b""
