"""Steps that are tried again: how often, after how long, and what is left if none succeeds."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from flowsdk.decorators.retry import Retry
from tests.flowsdk.flows import run_flow, write_flow
from tests.flowsdk.local.outcome import only_run, results
from tests.flowsdk.local.steps import END, START, flow_of
from tests.flowsdk.running import run

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


@pytest.mark.parametrize("times", [4, 9])
def test_a_step_may_be_tried_more_than_six_times(tmp_path: Path, times: int) -> None:
    flow = flow_of(
        tmp_path,
        START.format(f"assert current.retry_count == {times}, 'again'; self.next(self.end)"),
        END,
    )
    retry = Retry(times=times, minutes_between_retries=0)
    done = run(flow, tmp_path, decorators=[retry])
    assert done.succeeded, done.error()
    assert done.started == ["start/0"] * (times + 1) + ["end/0"]


def test_a_retry_waits_as_long_as_it_says(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.t = time.monotonic(); assert current.retry_count; self.next(self.end)"),
        END,
    )
    began = time.monotonic()
    done = run(flow, tmp_path, decorators=[Retry(times=1, minutes_between_retries=0.01)])
    assert done.succeeded, done.error()
    assert done.value("end/0", "t") - began >= 0.6
