from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowsdk import S3, FlowSpec, Run, step
from flowsdk.current_task import current
from flowsdk.exception import (
    S3Exception,
    S3InvalidObject,
    S3InvalidRange,
    S3NotFound,
    S3URLException,
)
from flowsdk.s3.objects import RangeInfo, S3GetObject, S3PutObject
from tests.s3_endpoint import Endpoint

LARGE = os.urandom(20 * 1024 * 1024 + 7)


@pytest.fixture
def s3(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
    monkeypatch.chdir(tmp_path)
    with S3(s3root="s3://flows/root") as client:
        yield client


def test_what_is_put_is_got(s3: S3) -> None:
    assert s3.put("a/0", "héllo", content_type="text/plain", metadata={"x": "ü"}) == (
        "s3://flows/root/a/0"
    )
    got = s3.get("a/0")
    assert (got.blob, got.text, got.size) == ("héllo".encode(), "héllo", 6)
    assert (got.key, got.url, got.prefix) == ("a/0", "s3://flows/root/a/0", "s3://flows/root")
    assert (got.exists, got.downloaded, got.has_info) == (True, True, True)
    assert (got.content_type, got.metadata) == ("text/plain", {"x": "ü"})
    assert got.range_info == RangeInfo(6, 0, 6)
    assert got.last_modified is not None
    assert Path(str(got.path)).read_text("utf-8") == "héllo"
    assert not s3.get("a/0", return_info=False).has_info


@pytest.mark.parametrize("value", [b"", b"x", bytearray(b"xy"), io.BytesIO(b"file"), LARGE])
def test_kinds_and_sizes_of_content(s3: S3, value: Any) -> None:
    expected = value.getvalue() if isinstance(value, io.BytesIO) else bytes(value)
    s3.put("k", value)
    got = s3.get("k")
    assert got.size == len(expected)
    assert got.blob == expected
    assert got.view == expected
    assert Path(str(got.path)).read_bytes() == expected


def test_files_are_removed_in_the_end(s3: S3, tmp_path: Path) -> None:
    s3.put("k", LARGE)
    got = s3.get("k")
    assert Path(str(got.path)).parent.parent == tmp_path
    s3.close()
    assert list(tmp_path.iterdir()) == []
    s3.put("k", b"small")
    assert s3.get("k").blob == b"small", "it can go on"


def test_many(s3: S3, tmp_path: Path) -> None:
    keys = [f"many/{number:03}" for number in range(300)]
    assert s3.put_many((key, key) for key in keys) == [(k, f"s3://flows/root/{k}") for k in keys]
    assert [got.text for got in s3.get_many(reversed(keys))] == keys[::-1]
    assert [got.size for got in s3.info_many(keys[:5])] == [8] * 5
    (tmp_path / "f").write_bytes(LARGE)
    (tmp_path / "g").write_bytes(b"")
    paths = [("f", str(tmp_path / "f")), S3PutObject("g", path=str(tmp_path / "g"))]
    assert [key for key, _ in s3.put_files(paths)] == ["f", "g"]
    assert [got.blob for got in s3.get_many(["f", "g"])] == [LARGE, b""]


def test_what_is_there_stays(s3: S3) -> None:
    s3.put("k", "old")
    assert s3.put("k", "new", overwrite=False) == "s3://flows/root/k"
    assert s3.put_many([("k", "new"), ("l", "new")], overwrite=False) == [
        ("l", "s3://flows/root/l")
    ]
    assert s3.get("k").text == "old"


def test_ranges(s3: S3) -> None:
    s3.put("k", LARGE)
    got = s3.get_many([S3GetObject("k", 5, 4), S3GetObject("k", 1, 9 << 20), S3GetObject("k", -3)])
    assert [one.blob for one in got] == [LARGE[5:9], LARGE[1 : 1 + (9 << 20)], LARGE[-3:]]
    assert got[0].range_info == RangeInfo(len(LARGE), 5, 4)
    assert got[1].range_info == RangeInfo(len(LARGE), 1, 9 << 20)
    with pytest.raises(S3InvalidRange):
        s3.get(S3GetObject("k", len(LARGE), 1))


def test_listing(s3: S3) -> None:
    s3.put_many((key, key) for key in ("a/0", "a/b/1", "a/b/2", "ab/3", "c"))
    found = s3.list_paths(["a"])
    assert [(one.key, one.exists, one.size) for one in found] == [
        ("0", True, 3),
        ("b", False, None),
    ]
    assert [one.key for one in s3.list_paths()] == ["a", "ab", "c"]
    assert [one.key for one in s3.list_recursive(["a", "ab"])] == ["0", "b/1", "b/2", "3"]
    assert [(one.key, one.text) for one in s3.get_recursive(["a/b"])] == [
        ("1", "a/b/1"),
        ("2", "a/b/2"),
    ]
    assert [one.key for one in s3.get_all()] == ["a/0", "a/b/1", "a/b/2", "ab/3", "c"]
    assert s3.list_recursive(["none"]) == []


def test_what_is_not_there(s3: S3) -> None:
    with pytest.raises(S3NotFound, match="s3://flows/root/none"):
        s3.get("none")
    with pytest.raises(S3NotFound):
        s3.info("none")
    with pytest.raises(S3NotFound, match="no file /none"):
        s3.put_files([("k", "/none")])
    for got in (
        s3.get("none", return_missing=True),
        s3.get_many(["none"], return_missing=True)[0],
        s3.info("none", return_missing=True),
    ):
        assert (got.exists, got.size, got.downloaded, got.blob, got.path, got.metadata) == (
            False, None, False, None, None, None,
        )  # fmt: skip
    with S3(s3root="s3://nowhere/x") as other, pytest.raises(S3Exception, match="NoSuchBucket"):
        other.put("k", "x")


def test_misuse(s3: S3) -> None:
    with pytest.raises(S3URLException, match="expected a key below"):
        s3.get("s3://flows/root/k")
    with pytest.raises(S3URLException, match="expected a URL"):
        S3().get("k")
    with pytest.raises(S3URLException, match="no prefix"):
        S3().get_all()
    with pytest.raises(S3URLException, match="both run and s3root"):
        S3(run=object(), s3root="s3://flows")
    with pytest.raises(S3URLException, match="without a run"):
        S3(bucket="flows")
    with pytest.raises(S3URLException, match="expected self or a Run"):
        S3(run=object(), bucket="flows", prefix="p")
    with pytest.raises(S3InvalidObject, match="found a int"):
        s3.put("k", 5)
    with pytest.raises(ValueError, match="expected a single line"):
        s3.put("k", b"", content_type="text/plain\r\nx-amz-acl: public-read")


def test_urls(s3: S3) -> None:
    s3.put("k", "x")
    with S3() as client:
        got = client.get("s3://flows/root/k")
        assert (got.text, got.key, got.prefix) == ("x", "s3://flows/root/k", None)
        client.put("s3://flows/other", "y")
        assert [one.url for one in client.list_paths(["s3://flows/root"])] == ["s3://flows/root/k"]


def test_streams(s3: S3) -> None:
    s3.put("k", LARGE)
    with s3.open("k") as stream:
        assert stream.read(5) == LARGE[:5]
        stream.seek(-7, os.SEEK_END)
        assert stream.read() == LARGE[-7:]
        stream.seek(9 << 20)
        assert stream.read(10 << 20) == LARGE[9 << 20 : 19 << 20]
        s3.put("k", b"changed")
        stream.seek(0)
        with pytest.raises(Exception, match="412"):
            stream.read(5)
    with pytest.raises(S3NotFound):
        s3.open("none")


def test_the_run_of_a_step(s3: S3, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    class AFlow(FlowSpec):
        @step
        def start(self) -> None:
            self.next(self.end)

        @step
        def end(self) -> None:
            pass

    flow = object.__new__(AFlow)
    with pytest.raises(S3URLException, match="no running task"):
        S3(run=flow)
    monkeypatch.setattr(current, "_facts", {"flow_name": "AFlow", "run_id": "7", "task_id": "0"})
    with pytest.raises(S3URLException, match="no datastore in S3"):
        S3(run=flow)
    monkeypatch.setattr(current, "_root", "s3://flows/store")
    with S3(run=flow) as client:
        assert client.put("k", "x") == "s3://flows/store/data/AFlow/7/k"
    with S3(run=flow, bucket="flows", prefix="p") as client:
        assert client.put("k", "x") == "s3://flows/p/AFlow/7/k"
    monkeypatch.setenv("METAFLOW_DATATOOLS_S3ROOT", "s3://flows/tools/")
    with S3(run=flow) as client:
        assert client.put("k", "x") == "s3://flows/tools/AFlow/7/k"
    run = object.__new__(Run)
    monkeypatch.setattr(Run, "pathspec", "AFlow/6", raising=False)
    assert S3(run=run).put("k", "x") == "s3://flows/tools/AFlow/6/k"
