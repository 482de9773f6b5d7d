from __future__ import annotations

import threading
from pathlib import Path

import pytest

from flowsdk.artifacts.splits import load_split, split_values, store_splits
from flowsdk.datastore import FlowDatastore
from flowsdk.datastore.blobs import BlobStore
from flowsdk.exception import InvalidNextException, UnpicklableArtifact


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return FlowDatastore.at(str(tmp_path), "F").blobs


@pytest.mark.parametrize("count", [1, 3, 20_000])
def test_each_split_reads_its_own_value(blobs: BlobStore, count: int) -> None:
    values = [{"n": n, "text": "x" * (n % 50)} for n in range(count)]
    splits = store_splits(blobs, "xs", values, where="")
    assert splits.count == count == len(splits.labels)
    for index in {0, count // 2, count - 1}:
        assert load_split(blobs, splits.frame("start", index)) == values[index]


def test_a_split_does_not_read_the_others(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = store_splits(blobs, "xs", ["x" * 100_000 for _ in range(20)], where="")
    read = []
    original = blobs.get_range
    monkeypatch.setattr(blobs, "get_range", lambda d, s, n: read.append(n) or original(d, s, n))
    load_split(blobs, splits.frame("start", 11))
    assert sum(read) < 101_000


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ([1, None], [1, None]),
        (range(2), [0, 1]),
        ("ab", ["a", "b"]),
        ({"a": 1}, [("a", 1)]),
        ((n for n in (4, 5)), [4, 5]),
        ({3}, [3]),
    ],
)
def test_what_can_be_iterated_over(value: object, values: list[object]) -> None:
    assert split_values(value, "xs", where="") == values


def test_what_cannot(blobs: BlobStore) -> None:
    where = "step 'start' (f.py:7)"
    with pytest.raises(InvalidNextException, match=r"f\.py:7\): self\.xs is of type int, expected"):
        split_values(5, "xs", where=where)
    with pytest.raises(InvalidNextException, match=r"f\.py:7\): self\.xs is empty, expected at"):
        split_values([], "xs", where=where)
    with pytest.raises(UnpicklableArtifact, match=r"f\.py:7\): element 1, of type lock"):
        store_splits(blobs, "xs", [1, threading.Lock()], where=where)
