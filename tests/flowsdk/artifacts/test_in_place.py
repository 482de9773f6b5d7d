from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowsdk.artifacts.in_place import is_in_place
from flowsdk.artifacts.scope import Scope
from flowsdk.artifacts.serializer import deserialize, serialize
from flowsdk.datastore import FlowDatastore, open_storage
from flowsdk.datastore.memory import in_memory
from tests.s3_endpoint import Endpoint

numpy = pytest.importorskip("numpy")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    return FlowDatastore.at(str(tmp_path), "F")


def mapped(store: FlowDatastore, value: object) -> memoryview:
    payload = serialize(value)
    return store.blobs.get(payload.store(store.blobs))


def big() -> dict[str, object]:
    return {"array": numpy.random.default_rng(0).random(3_000_000), "note": ["small"]}


def test_what_was_only_read_is_in_place(store: FlowDatastore) -> None:
    content = mapped(store, big())
    value = deserialize(content)
    assert value["array"].sum() > 0
    assert is_in_place(serialize(value).parts, content)


@pytest.mark.parametrize("change", ["an element", "what lies beside", "another array"])
def test_what_was_changed_is_not(store: FlowDatastore, change: str) -> None:
    content = mapped(store, big())
    value = deserialize(content)
    if change == "an element":
        value["array"][-1] = 7
    elif change == "what lies beside":
        value["note"].append("more")
    else:
        value["array"] = value["array"].copy()
    assert not is_in_place(serialize(value).parts, content)


def test_what_is_not_mapped_cannot_be_told() -> None:
    content = memoryview(bytearray(b"".join(bytes(p) for p in serialize(numpy.ones(5000)).parts)))
    assert not is_in_place(serialize(deserialize(content)).parts, content)


def test_room_that_a_download_was_read_into_cannot_be_told() -> None:
    parts = [bytes(part) for part in serialize(numpy.ones(1_000_000)).parts]
    content = in_memory(sum(map(len, parts)))
    content[:] = b"".join(parts)
    assert not is_in_place(serialize(deserialize(content)).parts, content)


def test_an_array_from_s3_that_was_changed_is_stored() -> None:
    boto3 = pytest.importorskip("boto3")
    with Endpoint() as server:
        server.buckets["flows"] = {}
        client = boto3.client("s3", endpoint_url=server.url)
        store = FlowDatastore(open_storage("s3://flows/root", client), "F")
        empty = Scope(store.storage, store.blobs, {})
        refs = empty.changed({"x": numpy.random.default_rng(0).random(1_000_000)}, {}, "start/0/0")
        scope = Scope(store.storage, store.blobs, refs)
        loaded = {"x": scope.load("x")}
        loaded["x"][5] = 7
        changed = scope.changed(loaded, loaded, "end/0/0")
        assert Scope(store.storage, store.blobs, changed).load("x")[5] == 7


def test_a_mapped_artifact_is_not_hashed_again(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = Scope(store.storage, store.blobs, {})
    scope = Scope(store.storage, store.blobs, empty.changed({"x": big()}, {}, "start/0/0"))
    loaded = {"x": scope.load("x")}
    hashed = "flowsdk.artifacts.serializer.digests_of"
    with monkeypatch.context() as patch:
        patch.setattr(hashed, lambda _: pytest.fail("hashed"))
        assert scope.changed(loaded, loaded, "end/0/0") == scope.refs
    loaded["x"]["array"][5] = -1
    changed = scope.changed(loaded, loaded, "end/0/0")
    assert changed["x"].digest != scope.refs["x"].digest
    # A private page: the file that others read is as it was.
    assert Scope(store.storage, store.blobs, scope.refs).load("x")["array"][5] != -1
    assert Scope(store.storage, store.blobs, changed).load("x")["array"][5] == -1
