from __future__ import annotations

from pathlib import Path

from flowsdk import FlowSpec, current, retry, step
from tests.flowsdk.running import run


class Retried(FlowSpec):
    @step
    def start(self) -> None:
        self.tries = [0]
        self.next(self.work)

    @retry(times=8, minutes_between_retries=0)
    @step
    def work(self) -> None:
        self.tries.append(current.retry_count)
        if current.retry_count < 7:
            self.of_a_failed_try = current.retry_count
            raise ValueError(current.retry_count)
        self.next(self.end)

    @step
    def end(self) -> None: ...


def test_every_try_begins_with_what_came_in_and_the_last_one_counts(tmp_path: Path) -> None:
    ran = run(Retried, tmp_path)
    assert ran.succeeded
    assert [r.status for r in ran.attempts if r.step == "work"] == ["failed"] * 7 + ["succeeded"]
    assert [r.attempt for r in ran.attempts if r.step == "work"] == list(range(8))
    assert ran.value("end/0", "tries") == [0, 7]
    assert "of_a_failed_try" not in ran.results["end/0"].artifacts


class Single(FlowSpec):
    @retry(times=0)
    @step
    def start(self) -> None:
        raise ValueError
        self.next(self.end)

    @step
    def end(self) -> None: ...


def test_no_times_turn_with_retry_off(tmp_path: Path) -> None:
    ran = run(Single, tmp_path, with_=["retry:times=5,minutes_between_retries=0"])
    assert [r.status for r in ran.attempts] == ["failed"]
