from __future__ import annotations

from dataclasses import replace

import pytest

from flowsdk.datastore import FlowDatastore, Storage, keys
from flowsdk.datastore.store import flows
from flowsdk.exception import KeyNotFound
from flowsdk.spec import TaskRef
from tests.flowsdk.examples import RESULT, RUN, RUN_END, SPEC


@pytest.fixture
def store(storage: Storage) -> FlowDatastore:
    return FlowDatastore(storage, "DigitsFlow")


def test_documents(store: FlowDatastore) -> None:
    assert store.write_run(RUN)
    assert store.write_spec(SPEC)
    assert store.write_result(RESULT)
    store.write_run_end(RUN.run, RUN_END)
    assert store.read_run(RUN.run) == RUN
    assert store.read_spec(RUN.run, SPEC.ref) == SPEC
    assert store.read_result(RUN.run, RESULT.ref) == RESULT
    assert store.read_run_end(RUN.run) == RUN_END


def test_the_first_document_wins(store: FlowDatastore) -> None:
    for write, document, change in (
        (store.write_run, RUN, {"user": "bob"}),
        (store.write_spec, SPEC, {"user": "bob"}),
        (store.write_result, RESULT, {"host": "elsewhere"}),
    ):
        assert write(document)
        assert not write(replace(document, **change))
    assert store.read_run(RUN.run).user == "alice"
    assert store.read_result(RUN.run, RESULT.ref).host == RESULT.host


def test_what_is_not_there(store: FlowDatastore) -> None:
    assert store.find_result("r", TaskRef("a", "0", 0)) is None
    assert store.read_run_end("r") is None
    assert store.read_log_chunk("r", TaskRef("a", "0", 0), 0) is None
    assert store.runs() == []
    with pytest.raises(KeyNotFound, match="run.json"):
        store.read_run("r")


def test_results_come_in_the_order_asked_for(store: FlowDatastore) -> None:
    refs = [TaskRef("fit", str(n), 0) for n in range(40)]
    for ref in refs:
        store.write_result(replace(RESULT, task=ref.task, attempt=0))
    wanted = refs[::-3]
    assert [result.ref for result in store.read_results(RUN.run, wanted)] == wanted


def test_logs_are_read_from_any_chunk(store: FlowDatastore) -> None:
    for number in range(3):
        store.write_log_chunk(RUN.run, SPEC.ref, number, b"%d" % number)
    assert list(store.log_chunks(RUN.run, SPEC.ref)) == [b"0", b"1", b"2"]
    assert list(store.log_chunks(RUN.run, SPEC.ref, 2)) == [b"2"]
    assert list(store.log_chunks(RUN.run, SPEC.ref, 3)) == []


def test_cards_lie_with_their_attempt(store: FlowDatastore) -> None:
    ref = TaskRef("start", "0", 0)
    names = [
        keys.CardName.of("F", "1", ref, number, kind, id_)
        for number, (kind, id_) in enumerate([("default", None), ("my-card", "a"), ("blank", "b")])
    ]
    for name in reversed(names):
        store.write_card("1", ref, name, b"old")
        store.write_card("1", ref, name, name.type.encode())
    store.write_card_data("1", ref, names[1], b"{}")
    assert store.cards("1", ref) == names
    assert [store.read_card("1", ref, name) for name in names] == [b"default", b"my-card", b"blank"]
    assert [store.read_card_data("1", ref, name) for name in names] == [None, b"{}", None]
    assert store.cards("1", replace(ref, attempt=1)) == []
    assert store.card_uri("1", ref, names[0]).startswith(store.storage.root)


def test_what_there_is(store: FlowDatastore, storage: Storage) -> None:
    store.write_run(RUN)
    store.write_run_end(RUN.run, RUN_END)
    for attempt in (0, 1, 10, 2):
        store.write_spec(replace(SPEC, attempt=attempt))
    store.write_spec(replace(SPEC, step="load", task="0", attempt=0))
    store.write_log_chunk(RUN.run, SPEC.ref, 0, b"")
    store.blobs.put([b"x"])
    assert store.runs() == [RUN.run]
    assert store.steps(RUN.run) == ["fit", "load"]
    attempts = store.attempts(RUN.run)
    assert [ref.attempt for ref in attempts["fit"]["2"]] == [0, 1, 2, 10]
    assert attempts["load"] == {"0": [TaskRef("load", "0", 0)]}
    assert store.attempts(RUN.run, "load") == {"load": attempts["load"]}
    assert flows(storage) == ["DigitsFlow"]
