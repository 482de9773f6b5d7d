"""Gangs of ``@parallel`` steps, run for real: all at once, and each as one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from flowsdk.decorators.retry import Retry
from tests.flowsdk.local.steps import END, JOIN, START, flow_of
from tests.flowsdk.running import run

GANG = """
    @parallel
    @step
    def train(self):
        self.place = tuple(current.parallel) + (self.index, self.input, len(self.foreach_stack()))
        {}
        self.next(self.join)
"""


def test_a_gang_runs_all_at_once_and_knows_itself(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    wait = (
        f"open('{tmp_path}/here/' + str(self.index), 'w').close()\n"
        "        until = time.monotonic() + 20\n"
        f"        while len(os.listdir('{tmp_path}/here')) < 3:\n"
        "            assert time.monotonic() < until, 'the others did not come'\n"
        "            time.sleep(0.01)"
    )
    flow = flow_of(
        tmp_path,
        START.format("self.n = 3; self.next(self.train, num_parallel=self.n)"),
        GANG.format(wait),
        JOIN,
        END,
    )
    done = run(flow, tmp_path, max_workers=1)
    assert done.succeeded, done.error()
    assert done.values("train", "place") == {
        str(i): ("127.0.0.1", 3, i, "0", i, i, 1) for i in range(3)
    }
    assert done.value("end/0", "inputs") == 3


def test_a_gang_within_a_foreach_has_a_control_task_of_its_own(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.xs = 'ab'; self.next(self.each, foreach='xs')"),
        "def each(self):\n    self.next(self.train, num_parallel=2)",
        GANG.format("pass"),
        "def join(self, inputs):\n    self.next(self.outer)",
        "def outer(self, inputs):\n    self.next(self.end)",
        END,
    )
    done = run(flow, tmp_path)
    assert done.succeeded, done.error()
    assert {t: place[3] for t, place in done.values("train", "place").items()} == {
        "0-0": "0-0", "0-1": "0-0", "1-0": "1-0", "1-1": "1-0"
    }  # fmt: skip


@pytest.mark.parametrize("size", ["0", "-1", "True", "2.5", "'3'", "None"])
def test_a_gang_of_no_size_is_refused_where_it_is_asked_for(tmp_path: Path, size: str) -> None:
    flow = flow_of(
        tmp_path,
        START.format(f"self.next(self.train, num_parallel={size})"),
        GANG.format("pass"),
        JOIN,
        END,
    )
    done = run(flow, tmp_path)
    assert done.started == ["start/0"]
    assert f"found {size}, expected a whole number of tasks, at least 1." in done.error()


def test_a_gang_fails_and_is_tried_again_as_one(tmp_path: Path) -> None:
    body = (
        "        if current.retry_count == 0 and self.index == 1:\n"
        "            raise ValueError('one of them')\n"
        "        if current.retry_count == 0 and self.index == 2:\n"
        "            time.sleep(60)\n"
    ).strip()
    flow = flow_of(
        tmp_path,
        START.format("self.next(self.train, num_parallel=3)"),
        GANG.format(body),
        JOIN,
        END,
    )
    began = time.monotonic()
    retry = Retry(times=1, minutes_between_retries=0)
    done = run(flow, tmp_path, decorators=[retry])
    assert done.succeeded, done.error()
    assert time.monotonic() - began < 30  # the one that slept was not waited for
    attempts = done.store.attempts(done.run)["train"]
    assert {task: len(refs) for task, refs in attempts.items()} == {"0": 2, "1": 2, "2": 2}
    stopped = {
        one.task: one.error.message
        for one in done.attempts
        if one.error and one.error.kind != "user"
    }
    assert stopped["2"].endswith(": task train/1 of its gang has failed.")
    assert done.results["join/0"].succeeded
