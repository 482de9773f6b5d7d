from __future__ import annotations

import os
import random
import time
from typing import Any

import pytest

from flowsdk.datastore import open_storage
from flowsdk.exception import DatastoreError, KeyNotFound
from flowsdk.s3.transfers import Transfers
from flowsdk.s3.wire import Call, Wire
from tests.flowsdk.s3.conftest import PIECE
from tests.s3_endpoint import Endpoint, Faults

CONTENT = random.Random(1).randbytes(PIECE * 7 + 13)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("fault", ["", *Faults.KINDS])
def test_what_only_boto3_can_reach_is_reached_by_boto3(
    fault: str, endpoint: Endpoint, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowsdk.s3.wire._endpoint", lambda *_: None)
    storage = open_storage("s3://flows", client)
    if fault not in ("flip", "short"):  # which blobs notice, and these are plain objects
        endpoint.faults = Faults(3, 0.3, (fault,)) if fault else None
    for number in range(6):
        assert storage.write(f"k{number}", [CONTENT[:5], CONTENT[5:]])
        assert storage.view(f"k{number}") == CONTENT
        assert storage.read(f"k{number}", 9, PIECE * 3) == CONTENT[9 : 9 + PIECE * 3]
    endpoint.faults = None
    assert storage.write("small", [b"x"], if_absent=True)
    assert not storage.write("small", [b"y"], if_absent=True)
    with pytest.raises(KeyNotFound):
        storage.read("none")


@pytest.mark.parametrize(
    "variable", [{"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}, {}], ids=["proxy", "direct"]
)
def test_behind_a_proxy_boto3_sends(
    variable: dict[str, str], client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowsdk.s3 import wire

    for name in ("no_proxy", *variable):
        monkeypatch.setenv(name, variable.get(name, ""))
    assert (wire._endpoint(client, "flows") is None) == bool(variable)


def test_buckets_that_are_signed_for_in_other_ways(client: Any) -> None:
    from flowsdk.s3 import wire

    assert wire._endpoint(client, "arn:aws:s3:us-east-1:1:accesspoint/x") is None
    assert wire._endpoint(client, "flows--use1-az4--x-s3") is None


def test_keys_of_all_kinds(client: Any) -> None:
    storage = open_storage("s3://flows/prä fix", client)
    for key in ("a b", "ü/é", "a+b", "x=1&y", "~t", "per%20cent", "q?r", "#", "a//b"):
        storage.write(key, [key.encode()])
        assert storage.read(key).decode() == key
        assert list(storage.keys("")).count(key) == 1


def test_a_connection_is_used_again_and_not_shared_with_a_fork(
    endpoint: Endpoint, client: Any
) -> None:
    wire = Wire(client)
    call = Call("HeadObject", {"Bucket": "flows", "Key": "none"})
    assert wire.send(call).status == 404
    (kept,) = next(iter(wire._idle.values()))
    assert wire.send(call).status == 404
    assert next(iter(wire._idle.values())) == [kept]
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            wire.send(call)
            os.write(writer, b"1" if kept.fileno() < 0 else b"0")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    assert wire.send(call).status == 404


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(("limit", "requests"), [(0, 1), (8, 8)])
def test_an_object_is_read_over_one_connection_where_no_other_is_to_be_had(
    endpoint: Endpoint, client: Any, limit: int, requests: int
) -> None:
    transfers = Transfers(client)
    transfers.put("flows", "k", [CONTENT])
    transfers.lanes.limit = limit
    before = endpoint.requests
    assert transfers.get("flows", "k").data == CONTENT
    assert endpoint.requests - before == requests


@pytest.mark.usefixtures("small_pieces")
def test_a_connection_that_crawls_is_replaced(
    endpoint: Endpoint, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowsdk.s3.wire._SLOW_SECONDS", 0.001)
    monkeypatch.setattr("flowsdk.s3.wire._SLOWEST", 10**9)
    transfers = Transfers(client)
    transfers.put("flows", "k", [CONTENT])
    endpoint.faults = Faults(1, 1.0, ("slow",))
    before = endpoint.requests
    assert transfers.get("flows", "k").data == CONTENT
    assert endpoint.requests - before > len(CONTENT) / PIECE + 1


@pytest.mark.usefixtures("small_pieces")
def test_an_object_that_changes_is_read_anew(endpoint: Endpoint, client: Any) -> None:
    transfers = Transfers(client)
    other = CONTENT[::-1] + b"more"
    transfers.put("flows", "k", [CONTENT])
    rooms = []

    def room(size: int) -> memoryview:
        if not rooms:
            transfers.put("flows", "k", [other])
        rooms.append(size)
        return memoryview(bytearray(size))

    assert transfers.get("flows", "k", allocate=room).data == other
    assert rooms == [len(CONTENT), len(other)]

    def changing(size: int) -> memoryview:
        transfers.put("flows", "k", [os.urandom(PIECE * 5)])
        return memoryview(bytearray(size))

    with pytest.raises(DatastoreError, match="changes all the time"):
        transfers.get("flows", "k", allocate=changing)


@pytest.mark.usefixtures("small_pieces")
def test_a_busy_s3_is_asked_less(
    endpoint: Endpoint, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfers = Transfers(client)
    transfers.put("flows", "k", [CONTENT])
    before = transfers.lanes.limit
    endpoint.faults = Faults(1, 1.0, ("503",))
    with pytest.raises(DatastoreError, match="failed 9 times: HTTP status 503 SlowDown"):
        transfers.get("flows", "k")
    assert transfers.lanes.limit == before // 2, "complaints at the same time are one"
    later = time.monotonic() + 100
    monkeypatch.setattr("flowsdk.s3.lanes.time.monotonic", lambda: later)
    with pytest.raises(DatastoreError):
        transfers.get("flows", "k")
    assert transfers.lanes.limit == before // 4
