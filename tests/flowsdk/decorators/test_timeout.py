from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from flowsdk import FlowSpec, current, environment, parallel_map, retry, step, timeout
from flowsdk.exception import TimeoutException
from flowsdk.runtime import processes
from tests.flowsdk.running import run


class Slow(FlowSpec):
    """Too slow, but in its last try."""

    @timeout(seconds=1)
    @retry(times=1, minutes_between_retries=0)
    @step
    def start(self) -> None:
        if current.retry_count == 0:
            time.sleep(20)
        self.next(self.end)

    @step
    def end(self) -> None: ...


def test_a_try_that_takes_too_long_is_followed_by_the_next(tmp_path: Path) -> None:
    ran = run(Slow, tmp_path)
    assert ran.succeeded
    first = ran.attempts[0].error
    assert first
    assert first.type == "flowsdk.exception.TimeoutException"
    assert first.message == "Step 'start' ran longer than its @timeout of 1 seconds."
    assert "time.sleep(20)" in first.traceback


class Catches(FlowSpec):
    @timeout(seconds=1)
    @step
    def start(self) -> None:
        try:
            time.sleep(20)
        except TimeoutException:
            self.saved = "in time"
        self.next(self.end)

    @step
    def end(self) -> None: ...


def test_the_step_can_catch_it_to_save_what_it_has(tmp_path: Path) -> None:
    assert run(Catches, tmp_path).value("end/0", "saved") == "in time"


class Parallel(FlowSpec):
    @timeout(seconds=1)
    @step
    def start(self) -> None:
        self.pids = []

        def hang(n: int) -> None:
            Path(os.environ["FOLDER"], str(n)).write_text(str(os.getpid()))
            time.sleep(30)

        parallel_map(hang, range(2), max_parallel=2)
        self.next(self.end)

    @step
    def end(self) -> None: ...


def test_the_processes_of_a_step_end_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.5)
    ran = run(Parallel, tmp_path / "data")
    assert not ran.succeeded
    for n in range(2):
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / str(n)).read_text()), 0)


class Variables(FlowSpec):
    @environment(vars={"SIZE": 3, "NAME": "x y"})
    @step
    def start(self) -> None:
        self.seen = (os.environ["SIZE"], os.environ["NAME"])
        self.next(self.end)

    @step
    def end(self) -> None:
        self.left = os.environ.get("SIZE")


def test_environment_is_seen_by_its_step_only(tmp_path: Path) -> None:
    ran = run(Variables, tmp_path)
    assert ran.value("end/0", "seen") == ("3", "x y")
    assert ran.value("end/0", "left") is None
    assert "SIZE" not in os.environ
