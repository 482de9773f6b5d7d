from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flowsdk.datastore import Storage, open_storage
from flowsdk.datastore.folder import FolderStorage
from flowsdk.exception import DatastoreError, KeyNotFound, UsageError


def test_what_is_written_is_read(storage: Storage) -> None:
    assert storage.write("a/b", [b"one ", bytearray(b"two "), memoryview(b"three")])
    assert storage.read("a/b") == b"one two three"
    assert storage.read("a/b", 4) == b"two three"
    assert storage.read("a/b", 4, 3) == b"two"
    assert storage.read("a/b", 4, 0) == b""
    assert bytes(storage.view("a/b")) == b"one two three"
    assert storage.uri("a/b") == f"{storage.root}/a/b"


def test_what_is_not_there(storage: Storage) -> None:
    assert not storage.exists("a/b")
    for read in (storage.read, storage.view):
        with pytest.raises(KeyNotFound, match="a/b"):
            read("a/b")
    assert list(storage.keys("a/")) == []
    assert storage.children("a/") == []


def test_overwriting(storage: Storage) -> None:
    storage.write("k", [b"old"])
    assert storage.exists("k")
    assert storage.write("k", [b"new"])
    assert storage.read("k") == b"new"


def test_when_an_object_was_written(storage: Storage) -> None:
    assert storage.modified("a/k") is None
    storage.write("a/k", [b"x"])
    (entry,) = storage.entries("a/")
    assert storage.modified("a/k") == entry.modified
    assert storage.modified("a") is None, "a prefix is no object"


def test_if_absent_leaves_the_first(storage: Storage) -> None:
    assert storage.write("k", [b"first"], if_absent=True)
    assert not storage.write("k", [b"second"], if_absent=True)
    assert storage.read("k") == b"first"


def test_of_concurrent_writers_one_wins(tmp_path: Path) -> None:
    one_wins(FolderStorage(str(tmp_path)))


def one_wins(storage: Storage) -> None:
    """Not of moto's S3, which looks and writes without a lock."""
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: storage.write("k", [b"%d" % n], if_absent=True), range(32)))
    assert won.count(True) == 1
    assert storage.read("k") == b"%d" % won.index(True)


def test_listing(storage: Storage) -> None:
    for key in ("a/x/1", "a/x/2", "a/y", "b/z"):
        storage.write(key, [b""])
    assert list(storage.keys("a/")) == ["a/x/1", "a/x/2", "a/y"]
    assert storage.children("a/") == ["x", "y"]
    assert storage.children("") == ["a", "b"]


def test_a_large_object_is_sent_whole(storage: Storage) -> None:
    half = os.urandom(20 * 1024 * 1024)
    storage.write("big", [half, memoryview(half)])
    assert storage.view("big") == half + half


def test_a_view_can_be_changed_without_changing_the_object(storage: Storage) -> None:
    data = b"x" * (512 * 1024)
    storage.write("k", [data])
    view = storage.view("k")
    view[0] = 0
    assert storage.read("k") == data


def test_a_killed_writer_leaves_nothing_to_see(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    storage.write("a/k", [b"x"])
    (tmp_path / "a" / ".k2.123.abcd.tmp").write_bytes(b"half")
    assert list(storage.keys("a/")) == ["a/k"]
    assert storage.children("a/") == ["k"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    storage = open_storage(str(tmp_path / "file"))
    with pytest.raises(DatastoreError, match="Cannot write"):
        storage.write("a/b", [b"x"])


def test_file_uris(tmp_path: Path) -> None:
    assert open_storage(f"file://{tmp_path}/with%20space").root == f"{tmp_path}/with space"


def test_a_missing_bucket_is_named() -> None:
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto")
    with moto.mock_aws(), pytest.raises(DatastoreError, match="s3://nowhere/p/k.*NoSuchBucket"):
        open_storage("s3://nowhere/p", boto3.client("s3")).write("k", [b"x"])


@pytest.mark.parametrize("if_absent", [False, True])
@pytest.mark.parametrize("multipart_from", [1, 1000])
def test_browsers_are_told_what_cards_in_s3_are(
    monkeypatch: pytest.MonkeyPatch, multipart_from: int, if_absent: bool
) -> None:
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto")
    monkeypatch.setattr("flowsdk.s3.transfers.MULTIPART_FROM", multipart_from)
    with moto.mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="flows")
        storage = open_storage("s3://flows", client)
        kinds = {}
        for key in ("card.html", "card.json", "data/3f.html/blob"):
            storage.write(key, [b"content"], if_absent=if_absent)
            kinds[key] = client.head_object(Bucket="flows", Key=key)["ContentType"]
    assert kinds["card.html"] == "text/html; charset=utf-8"
    assert kinds["card.json"] == "application/json"
    assert kinds["data/3f.html/blob"] == "binary/octet-stream"


@pytest.mark.parametrize("root", ["ftp://host/x", "s3:///prefix"])
def test_roots_that_are_none(root: str) -> None:
    with pytest.raises(UsageError, match="expected s3://bucket/prefix"):
        open_storage(root)


@pytest.mark.parametrize("conflicts", [1, 9])
def test_a_conditional_write_that_meets_another_is_repeated(
    conflicts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3 = pytest.importorskip("boto3")
    awsrequest = pytest.importorskip("botocore.awsrequest")
    monkeypatch.setattr("flowsdk.s3.transfers._PAUSES", (0.0, 0.0))
    client = boto3.client("s3")
    left = conflicts

    def answer(request: Any, **_: Any) -> Any:
        nonlocal left
        left -= 1
        error = b"<Error><Code>ConditionalRequestConflict</Code></Error>"
        status, body = (409, error) if left >= 0 else (200, b"")
        return awsrequest.AWSResponse(request.url, status, {}, _Raw(body))

    client.meta.events.register("before-send.s3.PutObject", answer)
    storage = open_storage("s3://flows", client)
    if conflicts == 1:
        assert storage.write("k", [b"x"], if_absent=True)
    else:
        with pytest.raises(DatastoreError, match="ConditionalRequestConflict"):
            storage.write("k", [b"x"], if_absent=True)


class _Raw(io.BytesIO):
    """The body of an answer, as urllib3 gives it."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def test_deleting_what_is_there_and_what_is_not(storage: Storage) -> None:
    for key in ("a/b/one", "a/b/two", "a/c"):
        storage.write(key, [b"x"])
    storage.delete(["a/b/one", "a/b/two", "never/was", "a/c/below"])
    assert list(storage.keys("a/")) == ["a/c"]
    storage.delete([])
    storage.delete(["a/c"])
    assert storage.children("") == []


def test_entries_tell_size_and_age(storage: Storage) -> None:
    before = time.time()
    storage.write("a/x/1", [b"one"])
    storage.write("a/2", [b"to"])
    storage.write("b/3", [b"three"])
    found = list(storage.entries("a/"))
    assert [(entry.key, entry.size) for entry in found] == [("a/2", 2), ("a/x/1", 3)]
    assert all(before - 2 < entry.modified < time.time() + 2 for entry in found)
    assert list(storage.entries("none/")) == []


def test_an_object_that_is_used_again_counts_as_new(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not storage.freshen("k")
    storage.write("k", [b"content"])
    if isinstance(storage, FolderStorage):
        os.utime(Path(storage.root) / "k", (1e9, 1e9))
    else:
        monkeypatch.setattr("flowsdk.datastore.s3._FRESH_SECONDS", -1)
    before = time.time()
    assert storage.freshen("k")
    assert storage.read("k") == b"content"
    assert next(iter(storage.entries(""))).modified > before - 2
