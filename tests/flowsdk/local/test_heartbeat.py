from __future__ import annotations

import time
from pathlib import Path

import pytest

from flowsdk.datastore import FlowDatastore
from flowsdk.local.heartbeat import BEAT_SECONDS, Heartbeat


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    return FlowDatastore.at(str(tmp_path / "root"), "F")


def test_a_run_notes_that_it_goes_on_once_in_a_while(
    store: FlowDatastore, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[float] = []
    monkeypatch.setattr(store, "write_alive", lambda _: noted.append(clock[0] - 1000))
    heartbeat = Heartbeat(store, "r")
    for _ in range(250):
        heartbeat.beat()
        clock[0] += 0.5
    assert noted == [0, BEAT_SECONDS, 2 * BEAT_SECONDS]


def test_a_note_that_fails_does_not_fail_the_run(
    store: FlowDatastore, clock: list[float], tmp_path: Path
) -> None:
    heartbeat = Heartbeat(store, "r")
    (tmp_path / "root").write_text("no folder")
    heartbeat.beat()
    assert store.last_alive("r") is None
    (tmp_path / "root").unlink()
    clock[0] += BEAT_SECONDS
    heartbeat.beat()
    at = store.last_alive("r")
    assert at
    assert abs(time.time() - at) < 60
