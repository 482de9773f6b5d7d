"""A Python whose ``Runner`` has a run under way, and that ends without being able to stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowsdk.client import Run, default_metadata, default_namespace, metadata
from tests.flowsdk.flows import ROOT

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells of a parent's end"
)

USER = """
import asyncio, sys, threading
from flowsdk import Runner

runs = []

async def begin():
    run = await Runner(sys.argv[1]).async_run(wait_for="never there")
    runs.append(run)  # what nobody holds any more is ended
    print(run.run.id, flush=True)

def main():
    asyncio.run(begin())

if sys.argv[2] == "main":
    main()
else:
    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
sys.stdin.readline()
"""


@pytest.fixture
def user(flow_file: Path, tmp_path: Path) -> Any:
    """Starts a Python that starts a run in a thread of its own or its main one."""
    started = []

    def start(thread: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", USER, flow_file, thread],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "FLOWSDK_USER": "tester"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    metadata(f"local@{Path.cwd() / '.flowsdk'}")
    yield start
    for process in started:
        process.kill()
        process.communicate()
    default_metadata()
    default_namespace()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_its_run_ends_with_it(user: Any, number: signal.Signals) -> None:
    process = user("main")
    run = Run(f"SmallFlow/{process.stdout.readline().strip()}")
    assert run.status == "running"
    process.send_signal(number)
    assert process.wait(60) == -number
    until(lambda: run.finished)
    assert run.status == "failed"
    assert "stopped" in run["start"].task.exception.exception


def test_a_run_outlives_the_thread_that_has_started_it(user: Any) -> None:
    process = user("another")
    run = Run(f"SmallFlow/{process.stdout.readline().strip()}")
    Path("never there").touch()
    until(lambda: run.finished)
    assert run.successful
    process.communicate("\n")
