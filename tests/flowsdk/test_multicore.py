from __future__ import annotations

import os
import pickle
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowsdk import parallel_imap_unordered, parallel_map
from flowsdk.exception import MulticoreException

BOTH = pytest.mark.parametrize("call", [parallel_map, parallel_imap_unordered])


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(st.integers() | st.text() | st.none(), max_size=6), at_once=st.integers(1, 8)
)
def test_a_parallel_map_is_a_map(values: list[Any], at_once: int) -> None:
    assert parallel_map(lambda x: (x, x), values, at_once) == [(x, x) for x in values]


def test_results_come_in_order_or_as_they_are_there() -> None:
    def wait(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    assert parallel_map(wait, [0.3, 0.0], max_parallel=2) == [0.3, 0.0]
    assert list(parallel_imap_unordered(wait, [0.3, 0.0], max_parallel=2)) == [0.0, 0.3]


def test_no_more_run_at_once_than_allowed_and_the_arguments_are_read_as_needed() -> None:
    read: list[int] = []

    def arguments() -> Iterator[int]:
        for number in range(6):
            read.append(number)
            yield number

    results = parallel_imap_unordered(lambda x: x, arguments(), max_parallel=2)
    next(results)
    assert len(read) <= 3
    assert sorted(results) != []


@pytest.mark.parametrize("in_folder", [False, True])
def test_results_may_be_large(tmp_path: Path, in_folder: bool) -> None:
    folder = str(tmp_path) if in_folder else None
    found = parallel_map(lambda x: bytes([x]) * 3_000_000, range(3), dir=folder)
    assert [(len(data), data[0]) for data in found] == [(3_000_000, x) for x in range(3)]
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_a_failure_shows_the_childs_traceback(call: Any) -> None:
    def fail(x: int) -> None:
        if x == 1:
            raise ValueError("bad luck")

    with pytest.raises(MulticoreException) as caught:
        list(call(fail, range(3)))
    error = caught.value
    assert error.message == "Call 1 of a parallel map raised builtins.ValueError: bad luck"
    assert error.type == "builtins.ValueError"
    assert 'raise ValueError("bad luck")' in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.message, copy.type, copy.traceback) == (error.message, error.type, error.traceback)


@pytest.mark.parametrize(
    ("die", "message"),
    [
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), "killed by SIGKILL. It may have run out"),
        (lambda _: os._exit(5), "ended with exit code 5"),
        (lambda _: (_ for _ in ()).throw(SystemExit(0)), "raised builtins.SystemExit"),
        (lambda _: threading.Lock(), "cannot pickle"),
    ],
)
def test_a_child_that_brings_no_result_is_a_failure(die: Any, message: str) -> None:
    with pytest.raises(MulticoreException, match=message):
        parallel_map(die, [1])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("how", ["failure", "left"])
def test_the_other_calls_are_stopped(tmp_path: Path, how: str) -> None:
    def work(x: int) -> int:
        (tmp_path / str(x)).write_text(str(os.getpid()))
        if x == 0:
            while not (tmp_path / "1").exists() or not (tmp_path / "1").read_text():
                time.sleep(0.005)
            if how == "failure":
                raise ValueError
            return x
        time.sleep(60)
        return x

    results = parallel_imap_unordered(work, range(2), max_parallel=2)
    if how == "failure":
        with pytest.raises(MulticoreException):
            list(results)
    else:
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]
    assert not alive(int((tmp_path / "1").read_text()))


def test_what_the_iterable_raises_ends_it() -> None:
    def arguments() -> Iterator[int]:
        yield 1
        raise KeyError("source")

    with pytest.raises(KeyError, match="source"):
        parallel_map(lambda x: x, arguments(), max_parallel=4)


def test_every_child_has_random_numbers_of_its_own() -> None:
    assert len(set(parallel_map(lambda _: random.random(), range(4)))) == 4


@BOTH
def test_there_must_be_room_for_one(call: Any) -> None:
    with pytest.raises(ValueError, match="max_parallel=0, expected at least 1"):
        list(call(abs, [1], max_parallel=0))


def test_as_many_run_at_once_as_there_are_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    read: list[int] = []

    def arguments() -> Iterator[int]:
        for number in range(9):
            read.append(number)
            yield number

    results = parallel_imap_unordered(lambda _: time.sleep(0.05), arguments())
    next(results)
    assert len(read) == 3
    results.close()  # type: ignore[attr-defined]
