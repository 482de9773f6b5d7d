from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from flowsdk.datastore import FlowDatastore
from flowsdk.datastore.folder import FolderStorage
from flowsdk.exception import DatastoreError
from flowsdk.planning import gang_facts
from flowsdk.runtime import gang
from flowsdk.runtime.gang import GangNode, own_address
from flowsdk.spec import ErrorInfo, Splits, TaskSpec
from tests.flowsdk.aws_batch.fakes import commit, succeed

OUTER = Splits("xs", 9, "digest", tuple("abcdefghi")).frame("start", 7)
SPLITS = Splits("", 3, "", ("0", "1", "2"))
BOOM = ErrorInfo("user", "builtins.ValueError", "no")


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    return FlowDatastore.at(str(tmp_path), "F")


@pytest.fixture(autouse=True)
def _at_every_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_BEAT_SECONDS", "_LOOK_SECONDS"):
        monkeypatch.setattr(gang, name, 0.0)


def spec_of(index: int, attempt: int = 1) -> TaskSpec:
    foreach = (OUTER, SPLITS.frame("split", index))
    facts = gang_facts(foreach)
    task = f"7-{index}"
    return TaskSpec("F", "r", "train", task, attempt, "/data", foreach=foreach, facts=facts)


def test_a_node_is_one_only_in_a_gang_and_on_a_node(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert GangNode.of(spec_of(0), store) is None
    monkeypatch.setenv("AWS_BATCH_JOB_NODE_INDEX", "0")
    assert GangNode.of(spec_of(0), store) is not None
    assert GangNode.of(TaskSpec("F", "r", "train", "0", 0, "/data"), store) is None


def test_every_node_knows_the_address_of_the_main_one(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"num_nodes": 3, "control_task_id": "7-0"}
    main = GangNode(spec_of(0), store).facts["parallel"]
    assert main == {**place, "node_index": 0, "main_ip": own_address()}
    monkeypatch.setenv("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS", "10.0.0.7")
    other = GangNode(spec_of(2), store).facts["parallel"]
    assert other == {**place, "node_index": 2, "main_ip": "10.0.0.7"}


def test_an_address_can_be_had_where_the_machine_does_not_know_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(_: str) -> str:
        raise OSError

    monkeypatch.setattr(gang.socket, "gethostbyname", unknown)
    assert own_address() == "127.0.0.1"


def test_the_gang_goes_on_while_all_are_heard_of(store: FlowDatastore) -> None:
    main = GangNode(spec_of(0), store, silent_seconds=60)
    others = [GangNode(spec_of(index), store) for index in (1, 2)]
    assert main.poll() == ""
    for _ in range(2):
        assert [node.poll() for node in (*others, main)] == ["", "", ""]


def test_a_node_that_falls_silent_ends_the_gang(store: FlowDatastore) -> None:
    main = GangNode(spec_of(0), store, silent_seconds=-1)
    for index in (1, 2):
        GangNode(spec_of(index), store).poll()
    assert main.poll() == ""  # it has just heard of them
    silent = "task train/7-1 of its gang is not heard of any more"
    assert main.poll() == silent


def test_a_node_that_does_not_start_ends_the_gang(store: FlowDatastore) -> None:
    main = GangNode(spec_of(0), store, start_seconds=-1)
    assert main.poll() == "task train/7-1 of its gang has not started in time"


def test_what_another_attempt_has_left_does_not_count(store: FlowDatastore) -> None:
    commit(store, spec_of(1, attempt=0), status="failed", error=BOOM)
    GangNode(spec_of(2, attempt=0), store).poll()
    assert GangNode(spec_of(0), store, silent_seconds=-1).poll() == ""


def test_a_node_that_has_failed_ends_the_gang(store: FlowDatastore) -> None:
    main = GangNode(spec_of(0), store)
    succeed(store, spec_of(1))
    assert main.poll() == ""
    commit(store, spec_of(2), status="failed", error=BOOM)
    assert main.poll() == "task train/7-2 of its gang has failed"
    assert not main.outlast()


def test_the_main_node_outlasts_the_others(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = GangNode(spec_of(0), store)
    still_at_work = [2, 1]

    def pass_time(_: float) -> None:
        if still_at_work:
            succeed(store, spec_of(still_at_work.pop()))

    monkeypatch.setattr(gang.time, "sleep", pass_time)
    assert main.outlast()
    assert not still_at_work


def test_other_nodes_do_not_wait(store: FlowDatastore) -> None:
    assert GangNode(spec_of(1), store).outlast()


@pytest.mark.parametrize("index", [0, 1])
def test_a_hiccup_of_the_datastore_ends_no_gang(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise DatastoreError("busy")

    node = GangNode(spec_of(index), store, silent_seconds=60, start_seconds=-1)
    with monkeypatch.context() as patched:
        patched.setattr(FolderStorage, "modified", fail)
        patched.setattr(FolderStorage, "write", fail)
        assert node.poll() == ""
    # Nor is anybody silent who could not be heard.
    assert node.poll() == ""


def test_a_note_is_due_only_now_and_then(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gang, "_BEAT_SECONDS", 10.0)
    now = time.monotonic()
    monkeypatch.setattr(gang.time, "monotonic", lambda: now)
    node, spec = GangNode(spec_of(1), store), spec_of(1)

    def age() -> float | None:
        (beat,) = store.last_beats("r", [spec.ref])
        return beat

    path = Path(store.storage.root, "F", "runs", "r", "train", "7-1", "1", "alive.txt")
    node.poll()
    os.utime(path, (1, 1))
    node.poll()
    assert age() == 1
    now += 11
    node.poll()
    assert (age() or 0) > 1
