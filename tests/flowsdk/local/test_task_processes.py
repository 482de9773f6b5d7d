"""What steps do to the processes they run in: however a task ends, its run says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flowsdk.flows import ROOT, run_flow, write_flow
from tests.flowsdk.local.outcome import only_run, results, texts
from tests.flowsdk.local.steps import END, START, flow_of
from tests.flowsdk.running import run

ENDS = """
import os, signal, subprocess, sys, time, threading

class Ends(FlowSpec):
    @timeout(seconds=1)
    @environment(vars={{"GREETING": "hello"}})
    @step
    def start(self):
        {body}
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Ends()
"""


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("os.kill(os.getpid(), 9)", "flowsdk.Killed: The task's process was killed by SIGKILL"),
        ("os._exit(0)", "flowsdk.Exited: The task's process ended with exit code 0"),
        ("sys.exit(0)", "StepExited: Step 'start' called sys.exit(0)"),
        ("time.sleep(30)", "TimeoutException: Step 'start' ran longer than its @timeout of 1 s"),
        ("self.lock = [threading.Lock()]", "UnpicklableArtifact: Artifact 'lock' (assigned at "),
        ("self.start = 1", "ReservedAttributeError: self.start cannot be assigned"),
        ("self.missing", "AttributeError: Flow Ends has no artifact 'missing' in step 'start'"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("assert os.environ['GREETING'] == 'bye', os.environ['GREETING']", "AssertionError: hello"),
    ],
)
def test_however_a_step_ends_the_error_says_so(tmp_path: Path, body: str, error: str) -> None:
    done = run_flow(write_flow(tmp_path, ENDS.format(body=body)), "run")
    assert done.returncode == 1
    assert error in done.stderr.splitlines()[-1]


def test_the_log_of_a_task_whose_process_was_killed_says_so_too(tmp_path: Path) -> None:
    path = write_flow(
        tmp_path, ENDS.format(body="print('before', flush=True); os.kill(os.getpid(), 9)")
    )
    assert run_flow(path, "--quiet", "run").returncode == 1
    run_id = next((tmp_path / ".flowsdk").rglob("run.json")).parent.name
    log = run_flow(path, "--quiet", "logs", f"{run_id}/start").stdout
    assert [line.partition("] ")[2] or line for line in log.splitlines()] == [
        "before",
        "The task's process was killed by SIGKILL. It may have run out of memory.",
    ]


def test_what_a_step_leaves_behind_does_not_hold_up_the_run(tmp_path: Path) -> None:
    body = "subprocess.Popen(['sleep', '60']); print('started')"
    done = run_flow(write_flow(tmp_path, ENDS.format(body=body)), "run")
    assert done.returncode == 0, done.stderr
    assert "started" in texts(done.stdout)


def test_output_of_every_kind_is_kept_in_order(tmp_path: Path) -> None:
    body = (
        "print('one'); sys.stderr.write('two\\n'); os.write(1, b'three\\n'); "
        "subprocess.run(['echo', 'four']); os.write(1, b'\\xff no newline')"
    )
    done = run_flow(write_flow(tmp_path, ENDS.format(body=body)), "run")
    printed = [line for line in texts(done.stdout) if line and not line.startswith("Task ")]
    assert sorted(printed) == sorted(["one", "two", "three", "four", "\ufffd no newline"])
    store, run = only_run(tmp_path, "Ends")
    ref = store.attempts(run)["start"]["0"][0]
    lines = [json.loads(x) for data in store.log_chunks(run, ref) for x in data.splitlines()]
    out = [text for _, stream, text in lines if stream == "stdout"]
    assert out == ["one", "three", "four", "\ufffd no newline"]
    assert [text for _, stream, text in lines if stream == "stderr"] == ["two"]


HARD = """
import asyncio, atexit, os, signal, sys, threading, time

class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")

class Hard(FlowSpec):
    @timeout(seconds=2)
    @step
    def start(self):
        {body}
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Hard()
"""


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise asyncio.CancelledError", "CancelledError"),
        ("raise Unspeakable", "Unspeakable: <exception str() failed>"),
        ("raise ValueError('b\\udcff.csv')", "ValueError: b"),
        ("os.fork()", "flowsdk.Forked: The step forked its process"),
    ],
)
def test_whatever_is_raised_is_told(tmp_path: Path, body: str, error: str) -> None:
    done = run_flow(write_flow(tmp_path, HARD.format(body=body)), "run")
    assert done.returncode == 1
    assert error in done.stderr.splitlines()[-1]
    assert results(tmp_path, "Hard")["start/0"].status == "failed"


@pytest.mark.parametrize(
    "body",
    [
        "sys.stdout.close()",
        "self.xs = ['b\\udcff.csv']",
        "self.big = 10**5000",
        "atexit.register(lambda: open('left', 'w').close())",
        "threading.Thread(target=lambda: (time.sleep(0.3), open('left', 'w').close())).start()",
    ],
)
def test_what_a_step_does_to_its_process_does_not_fail_it(tmp_path: Path, body: str) -> None:
    done = run_flow(write_flow(tmp_path, HARD.format(body=body)), "run")
    assert done.returncode == 0, done.stderr
    assert ("'left'" in body) == (tmp_path / "left").exists()


def test_a_huge_error_stays_small(tmp_path: Path) -> None:
    body = "raise ValueError('x' * 5_000_000)"
    done = run_flow(write_flow(tmp_path, HARD.format(body=body)), "run")
    assert done.returncode == 1
    result = results(tmp_path, "Hard")["start/0"]
    assert result.error
    assert "characters left out" in result.error.message
    assert len(result.to_json()) < 200_000


def test_a_step_that_closes_everything_is_still_stopped_in_time(tmp_path: Path) -> None:
    body = "os.closerange(3, 64); time.sleep(30)"
    done = run_flow(write_flow(tmp_path, HARD.format(body=body)), "run")
    assert done.returncode == 1
    assert "Step 'start' failed (Hard/" in done.stderr
    assert "A step must not close files that it has not opened" in done.stderr


def test_stopping_the_run_stops_its_tasks(tmp_path: Path) -> None:
    body = "open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    path = write_flow(tmp_path, HARD.format(body=body).replace("seconds=2", "seconds=90"))
    process = subprocess.Popen(
        [sys.executable, str(path), "run"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "FLOWSDK_USER": "tester"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    task = int((tmp_path / "pid").read_text())
    process.terminate()
    assert process.wait(30) == 128 + 15
    with pytest.raises(ProcessLookupError):
        os.kill(task, 0)
    store, run = only_run(tmp_path, "Hard")
    end = store.read_run_end(run)
    assert end
    assert end.status == "failed"


def test_a_task_whose_files_are_used_up_says_what_went_wrong(tmp_path: Path) -> None:
    body = """
    import os, resource

    class Greedy(FlowSpec):
        @step
        def start(self):
            resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
            while True:
                os.dup(1)
            self.next(self.end)
        @step
        def end(self):
            pass
    if __name__ == "__main__":
        Greedy()
    """
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 1
    assert "OSError: [Errno 24] Too many open files" in done.stderr
    assert "os.dup(1)" in done.stderr


def test_sys_exit_in_a_step_is_a_failure_that_says_where(tmp_path: Path) -> None:
    for code in ("0", "3", "'bye'"):
        flow = flow_of(tmp_path, START.format(f"sys.exit({code}); self.next(self.end)"), END)
        done = run(flow, tmp_path)
        assert f"StepExited: Step 'start' called sys.exit({code})" in done.error()
        assert done.failed[0].error is not None
        assert f"{tmp_path}/flow.py" in done.failed[0].error.traceback
        assert done.started == ["start/0"]
