from __future__ import annotations

import threading
from pathlib import Path

import pytest

from flowsdk.artifacts.scope import Scope, link_siblings
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import ArtifactNotFound, UnpicklableArtifact

ORIGIN = "start/0/0"


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    return FlowDatastore.at(str(tmp_path), "F")


def scope_of(store: FlowDatastore, **values: object) -> Scope:
    empty = Scope(store.storage, store.blobs, {})
    refs = empty.changed(values, {}, ORIGIN, {})
    return Scope(store.storage, store.blobs, refs)


def test_values_are_stored_and_loaded(store: FlowDatastore) -> None:
    scope = scope_of(store, a=[1], b="x")
    assert scope.load("a") == [1]
    assert scope.load("b") == "x"
    assert scope.refs["b"].preview == "'x'"
    assert scope.refs["a"].type == "builtins.list"
    assert scope.refs["a"].origin == ORIGIN


def test_near_misses(store: FlowDatastore) -> None:
    with pytest.raises(ArtifactNotFound, match="Did you mean 'accuracy'"):
        scope_of(store, accuracy=1).load("acuracy")


def test_what_was_only_read_keeps_its_reference(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = scope_of(store, number=1, items=[1, 2])
    loaded = {name: scope.load(name) for name in ("number", "items")}
    monkeypatch.setattr(store.blobs, "put", lambda *_: pytest.fail("uploaded again"))
    assert scope.changed(loaded, loaded, "end/0/0", {}) == scope.refs


def test_what_was_changed_in_place_is_stored(store: FlowDatastore) -> None:
    scope = scope_of(store, items=[1, 2])
    items = scope.load("items")
    items.append(3)
    refs = scope.changed({"items": items}, {"items": items}, "end/0/0", {})
    assert refs["items"].origin == "end/0/0"
    assert Scope(store.storage, store.blobs, refs).load("items") == [1, 2, 3]


def test_parameters_stay_what_they_were(store: FlowDatastore) -> None:
    refs = Scope(store.storage, store.blobs, {}).changed({"p": [1]}, {}, ORIGIN, {"p": "parameter"})
    scope = Scope(store.storage, store.blobs, refs)
    assert scope.changed({"p": [1, 2]}, {}, "end/0/0", {}) == refs
    assert scope.changed_in_vain == ["p"]
    assert scope.changed({"p": [1]}, {}, "end/0/0", {}) == refs
    assert scope.changed_in_vain == []
    assert refs["p"].kind == "parameter"


def test_nothing_is_stored_if_one_value_cannot_be(store: FlowDatastore) -> None:
    scope = Scope(store.storage, store.blobs, {})
    with pytest.raises(UnpicklableArtifact, match="'bad'"):
        scope.changed({"good": 1, "bad": threading.Lock()}, {}, ORIGIN, {})
    assert list(store.storage.keys("F/")) == []


def test_siblings_read_ahead_for_each_other(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.storage, "remote", True)
    scopes = [scope_of(store, n=n, other=n) for n in range(10)]
    link_siblings(scopes)
    assert scopes[3].load("n") == 3
    monkeypatch.setattr(store.blobs, "open", lambda _: pytest.fail("not read ahead"))
    assert [scope.load("n") for scope in scopes[4:]] == [4, 5, 6, 7, 8, 9]


def test_reading_ahead_is_bounded(store: FlowDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.storage, "remote", True)
    monkeypatch.setattr("flowsdk.artifacts.scope._READ_AHEAD", 2500)
    scopes = [scope_of(store, blob=bytes([n]) * 1000) for n in range(10)]
    link_siblings(scopes)
    read: list[str] = []
    original = store.blobs.open
    monkeypatch.setattr(store.blobs, "open", lambda digest: read.append(digest) or original(digest))
    scopes[0].load("blob")
    assert len(read) == 2


def test_a_value_whose_pickle_changes_by_loading_is_still_unchanged(store: FlowDatastore) -> None:
    numpy = pytest.importorskip("numpy")
    scope = scope_of(store, strided=numpy.arange(100).reshape(10, 10)[:, ::2])
    value = scope.load("strided")
    assert scope.changed({"strided": value}, {"strided": value}, "end/0/0", {}) == scope.refs
    value[0, 0] = 77
    changed = scope.changed({"strided": value}, {"strided": value}, "end/0/0", {})
    assert changed["strided"].origin == "end/0/0"
