from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from flowsdk.s3.lanes import Lanes


def test_every_item_is_done_once() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        done.append(item)
        return item

    Lanes().run(work, range(500))
    assert sorted(done) == list(range(500))
    Lanes().run(work, [])
    assert len(done) == 500


def test_jobs_run_at_once_but_not_too_many() -> None:
    lanes = Lanes(3)
    together = threading.Barrier(3, timeout=20)
    running = most = 0
    lock = threading.Lock()

    def work(_: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1
        return 1

    lanes.run(work, range(9))
    assert most == 3


def test_a_job_may_have_jobs() -> None:
    lanes = Lanes(2)
    done: list[int] = []

    def outer(item: int) -> int:
        lanes.run(lambda inner: done.append(inner) or 1, range(item))  # type: ignore[func-returns-value]
        return 1

    lanes.run(outer, [3, 4, 5])
    assert len(done) == 12


def test_the_first_error_is_raised_and_ends_it() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        if item == 5:
            raise KeyError(item)
        done.append(item)
        return 1

    before = threading.active_count()
    with pytest.raises(KeyError, match="5"):
        Lanes().run(work, range(10_000))
    assert len(done) < 10_000
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("throughput", "expected"),
    [(lambda lanes: lanes.limit, 64), (lambda _: 100, 8)],
    ids=["more lanes bring more", "they bring nothing"],
)
def test_lanes_are_opened_while_that_pays(
    throughput: Callable[[Lanes], int], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = Lanes()
    now = 0.0
    monkeypatch.setattr("flowsdk.s3.lanes.time.monotonic", lambda: now)
    for _ in range(10):
        now += 1.0
        lanes._count(throughput(lanes) * 10_000_000)
    assert lanes.limit == expected
