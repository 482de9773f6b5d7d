from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.datastore.folder import FolderStorage
from flowsdk.datastore.layered import LayeredStorage
from flowsdk.exception import KeyNotFound


def test_the_lower_storage_is_read_and_never_written(tmp_path: Path) -> None:
    upper, lower = FolderStorage(str(tmp_path / "upper")), FolderStorage(str(tmp_path / "lower"))
    lower.write("a/x", [b"low"])
    lower.write("a/y", [b"low"])
    both = LayeredStorage(upper, lower)
    assert both.root == upper.root
    assert (both.read("a/x"), bytes(both.view("a/x")), both.read("a/x", 1, 1)) == (
        b"low",
        b"low",
        b"o",
    )
    assert both.write("a/x", [b"up"])
    assert both.write("a/z", [b"up"], if_absent=True)
    assert not both.write("a/y", [b"up"], if_absent=True)
    assert (both.read("a/x"), both.read("a/y"), both.read("a/z")) == (b"up", b"low", b"up")
    assert lower.read("a/x") == b"low"
    assert list(both.keys("a/")) == ["a/x", "a/y", "a/z"]
    assert both.children("") == ["a"]
    assert both.exists("a/y")
    assert not both.exists("a/none")
    assert both.modified("a/none") is None
    assert [(entry.key, entry.size) for entry in both.entries("a/")] == [
        ("a/x", 2), ("a/y", 3), ("a/z", 2)
    ]  # fmt: skip
    assert (both.freshen("a/y"), both.freshen("a/z"), both.freshen("a/none")) == (True, True, False)
    both.delete(["a/x", "a/y"])
    assert (both.read("a/x"), both.read("a/y")) == (b"low", b"low")
    with pytest.raises(KeyNotFound):
        both.read("a/none")
    with pytest.raises(KeyNotFound):
        both.view("a/none")
