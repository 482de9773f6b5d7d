"""``python flow.py run``: whole flows, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowsdk.datastore import FlowDatastore
from flowsdk.spec import TaskResult
from tests.flowsdk.flows import ROOT, run_flow, write_flow

SHAPES = """
class Thing:
    def __init__(self, n):
        self.n = n

class Shapes(FlowSpec):
    alpha = Parameter("alpha", default=0.5)
    CONSTANT = 3

    @step
    def start(self):
        self.thing = Thing(7)
        self.double = lambda x: 2 * x
        self.next(self.left, self.right)

    @step
    def left(self):
        self.xs = {"a": 1, "b": 2}
        self.next(self.body, foreach="xs")

    @step
    def body(self):
        assert isinstance(self.thing, Thing)
        self.key, self.value = self.input
        self.where = (self.index, self.foreach_stack())
        self.ys = (n for n in range(self.index + 1))
        self.next(self.inner, foreach="ys")

    @step
    def inner(self):
        self.stack = self.foreach_stack()
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.count = len(inputs)
        self.merge_artifacts(inputs, exclude=["stack"])
        self.after_join = (self.index, self.input)
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.values = [(i.key, i.value, i.count, i.after_join, i.where[0]) for i in inputs]
        self.next(self.merge)

    @step
    def right(self):
        self.only_right = self.double(self.CONSTANT)
        self.next(self.merge)

    @step
    def merge(self, inputs):
        self.merge_artifacts(inputs)
        self.next(self.end)

    @step
    def end(self):
        print("values", self.values)
        print("rest", self.only_right, self.thing.n, self.alpha, self.CONSTANT)

if __name__ == "__main__":
    Shapes()
"""


def only_run(folder: Path, flow: str) -> tuple[FlowDatastore, str]:
    store = FlowDatastore.at(str(folder / ".flowsdk"), flow)
    (run,) = store.runs()
    return store, run


def results(folder: Path, flow: str) -> dict[str, TaskResult]:
    """``step/task`` → the result of its last attempt."""
    store, run = only_run(folder, flow)
    return {
        f"{step}/{task}": store.read_result(run, attempts[-1])
        for step, tasks in store.attempts(run).items()
        for task, attempts in tasks.items()
    }


def texts(output: str) -> list[str]:
    """The lines of tasks without time stamp and task."""
    return [line.partition(") ] ")[2] or line.partition("] ")[2] for line in output.splitlines()]


def test_all_shapes_together(tmp_path: Path) -> None:
    path = write_flow(tmp_path, SHAPES)
    done = run_flow(path, "run", "--alpha", "0.75")
    assert done.returncode == 0, done.stderr
    printed = texts(done.stdout)
    values = [("a", 1, 1, (0, ("a", 1)), 0), ("b", 2, 2, (1, ("b", 2)), 1)]
    assert f"values {values}" in printed
    assert "rest 6 7 0.75 3" in printed
    assert done.stdout.splitlines()[-1].endswith("Done!")
    found = results(tmp_path, "Shapes")
    assert sorted(found) == sorted(
        ["start/0", "left/0", "right/0", "body/0", "body/1", "inner/0-0", "inner/1-0", "inner/1-1",
         "inner_join/0", "inner_join/1", "gather/0", "merge/0", "end/0"]
    )  # fmt: skip
    end = found["end/0"]
    assert {n for n, ref in end.artifacts.items() if ref.kind == "parameter"} == {"alpha"}
    assert {n for n, ref in end.artifacts.items() if ref.kind == "constant"} == {"CONSTANT"}
    assert end.artifacts["only_right"].origin == "right/0/0"
    assert found["left/0"].splits is not None
    assert found["left/0"].splits.labels == ("a, 1", "b, 2")


RETRY = """
class Retry(FlowSpec):
    @step
    def start(self):
        self.next(self.risky)

    @retry(times=2, minutes_between_retries={delay})
    @step
    def risky(self):
        self.seen = current.retry_count
        print("attempt", current.retry_count)
        if current.retry_count < {fail_until}:
            self.lost = True
            raise KeyError("not yet")
        self.next(self.end)

    @step
    def end(self):
        assert not hasattr(self, "lost")

if __name__ == "__main__":
    Retry()
"""


def test_a_step_is_tried_again(tmp_path: Path) -> None:
    path = write_flow(tmp_path, RETRY.format(delay=0.01, fail_until=2))
    done = run_flow(path, "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("it will be tried again in 0.6 seconds.") == 2
    store, run = only_run(tmp_path, "Retry")
    statuses = [store.read_result(run, ref).status for ref in store.attempts(run)["risky"]["0"]]
    assert statuses == ["failed", "failed", "succeeded"]
    end = store.read_run_end(run)
    assert end
    assert end.status == "succeeded"


def test_a_failing_run_ends_with_the_users_error(tmp_path: Path) -> None:
    path = write_flow(tmp_path, RETRY.format(delay=0, fail_until=9))
    done = run_flow(path, "run", "--run-id-file", "id.txt")
    assert done.returncode == 1
    assert done.stdout.count("Task failed; it will be tried again.") == 2
    store, run = only_run(tmp_path, "Retry")
    assert (tmp_path / "id.txt").read_text() == run
    *_, head, top, where, code, last = done.stderr.splitlines()
    assert head == f"Step 'risky' failed (Retry/{run}/risky/0, after 3 attempts):"
    assert top == "Traceback (most recent call last):"
    assert re.fullmatch(rf'  File "{re.escape(str(path))}", line \d+, in risky', where)
    assert code.strip().startswith("raise KeyError")
    assert last == "KeyError: 'not yet'"
    result = results(tmp_path, "Retry")["risky/0"]
    assert result.artifacts == {}
    assert result.error
    assert result.error.kind == "user"
    frames = re.findall(r'File "(.*?)", line (\d+)', result.error.traceback)
    assert [file for file, _ in frames] == [str(path)]
    end = store.read_run_end(run)
    assert end
    assert end.status == "failed"


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


def test_a_parameter_or_constant_changed_in_place_is_unchanged_elsewhere_and_the_step_is_warned(
    tmp_path: Path,
) -> None:
    flow = write_flow(
        tmp_path,
        """
from flowsdk import FlowSpec, JSONType, Parameter, step

class Ends(FlowSpec):
    items = Parameter("items", default=[1], type=JSONType)
    TABLE = {"a": [1]}

    @step
    def start(self):
        self.items.append(2)
        self.TABLE["a"].append(2)
        self.next(self.end)

    @step
    def end(self):
        assert self.items == self.TABLE["a"] == [1]

if __name__ == "__main__":
    Ends()
""",
    )
    done = run_flow(flow, "run")
    assert done.returncode == 0, done.stderr
    for name in ("items", "TABLE"):
        assert f"Warning: step 'start' changed self.{name} in place" in done.stdout
    assert "'end' changed" not in done.stdout


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


def test_foreach_problems_are_located(tmp_path: Path) -> None:
    body = """
    class Each(FlowSpec):
        @step
        def start(self):
            {}
            self.next(self.body, foreach="xs")
        @step
        def body(self):
            self.next(self.join)
        @step
        def join(self, inputs):
            self.next(self.end)
        @step
        def end(self):
            pass
    if __name__ == "__main__":
        Each()
    """
    for statement, message in (
        ("self.xs = []", "flow.py:7): self.xs is empty, expected at least one element"),
        ("self.xs = 5", "flow.py:7): self.xs is of type int"),
        ("pass", f"{tmp_path}/flow.py:7): self.xs does not exist"),
    ):
        done = run_flow(write_flow(tmp_path, body.format(statement)), "run")
        assert done.returncode == 1
        assert message in done.stderr.splitlines()[-1]
    path = write_flow(tmp_path, body.format("self.xs = range(5)"))
    refused = run_flow(path, "run", "--max-num-splits", "4")
    assert refused.returncode == 1
    assert "splits into 5 tasks, expected at most 4" in refused.stderr


def test_batch_needs_s3(tmp_path: Path) -> None:
    path = write_flow(tmp_path, SHAPES)
    done = run_flow(path, "run", "--with", "batch")
    assert done.returncode == 2
    assert "AWS Batch, which reads and writes S3" in done.stderr
    assert "--datastore-root s3://bucket/prefix" in done.stderr


def test_wrong_parameters_are_a_usage_error(tmp_path: Path) -> None:
    done = run_flow(write_flow(tmp_path, SHAPES), "run", "--alpha", "x")
    assert done.returncode == 2
    assert "Parameter 'alpha': found 'x', expected float" in done.stderr
    assert not (tmp_path / ".flowsdk").exists()


def test_neither_airflow_nor_boto3_is_needed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "for name in ('airflow', 'boto3', 'botocore', 'moto', 'pendulum', 'numpy'):\n"
        "    sys.modules[name] = None\n",
        "utf-8",
    )
    path = write_flow(tmp_path, SHAPES)
    env = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}"}
    done = run_flow(path, "run", env=env)
    assert done.returncode == 0, done.stderr
    reader = tmp_path / "read.py"
    reader.write_text(
        "from flowsdk import Flow\nprint(Flow('Shapes').latest_successful_run.data.only_right)\n"
    )
    read = run_flow(reader, env=env)
    assert read.stdout.strip() == "6", read.stderr


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


def test_splits_have_random_numbers_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    body = """
    import numpy.random

    class Random(FlowSpec):
        @step
        def start(self):
            self.xs = range(3)
            self.next(self.body, foreach="xs")
        @step
        def body(self):
            self.drawn = float(numpy.random.rand())
            self.next(self.join)
        @step
        def join(self, inputs):
            assert len({i.drawn for i in inputs}) == 3
            self.next(self.end)
        @step
        def end(self):
            pass
    if __name__ == "__main__":
        Random()
    """
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 0, done.stderr


def test_parameters_and_constants_are_read_only_in_every_step(tmp_path: Path) -> None:
    body = SHAPES.replace('print("values", self.values)', "self.alpha; self.alpha = 7")
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 1
    assert "it is a Parameter, and parameters are read-only" in done.stderr.splitlines()[-1]


def test_a_constant_that_cannot_be_stored_is_told_as_such(tmp_path: Path) -> None:
    body = """
    import threading

    class Locked(FlowSpec):
        LOCK = threading.Lock()
        @step
        def only(self):
            pass

    if __name__ == "__main__":
        Locked()
    """
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 1
    assert "Artifact 'LOCK' (assigned at " in done.stderr
    assert ", as a constant of class Locked), of type _thread.lock" in done.stderr


@pytest.mark.parametrize(
    ("told", "young"),
    [("", "10_000"), ("gc.set_threshold(500, 5, 5)", "500"), ("gc.disable()", "10_000")],
)
def test_garbage_is_collected_less_often_unless_the_flow_says_how_often(
    tmp_path: Path, told: str, young: str
) -> None:
    body = f"""
    import gc

    {told}

    class Collected(FlowSpec):
        @step
        def start(self):
            assert gc.get_threshold()[0] == {young}
            assert gc.isenabled() is {told != "gc.disable()"}
            self.next(self.end)
        @step
        def end(self):
            pass
    if __name__ == "__main__":
        Collected()
    """
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 0, done.stderr


def test_a_trivial_task_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    body = """
    class Small(FlowSpec):
        @step
        def start(self):
            self.xs = [1, 2]
            self.next(self.body, foreach="xs")
        @step
        def body(self):
            self.y = self.input
            self.next(self.join)
        @step
        def join(self, inputs):
            self.total = sum(i.y for i in inputs)
            self.next(self.end)
        @step
        def end(self):
            import sys
            costly = {"_hashlib", "_socket", "asyncio", "concurrent.futures", "logging", "tarfile"}
            assert not costly & set(sys.modules), costly & set(sys.modules)
    if __name__ == "__main__":
        Small()
    """
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 0, done.stderr


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
