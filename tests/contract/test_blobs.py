"""Blobs that earlier versions have written must stay readable for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flowsdk.artifacts import libraries
from flowsdk.artifacts.serializer import deserialize
from flowsdk.datastore import keys
from flowsdk.datastore.blobs import BlobStore
from flowsdk.datastore.folder import FolderStorage

GOLDEN = Path(__file__).parent / "golden" / "blobs"
VALUES = {
    "first_small": {"a": [1, 2.5, "ä"], "b": None},
    # Larger than a piece, and named by the digest of the whole.
    "first_compressed": b"flowsdk " * (2**20 + 1),
    "second_small": {"a": [1, 2.5, "ä"], "b": None},
    # A frame for each piece.
    "second_compressed": b"flowsdk " * (2**20 + 1),
    "second_buffers": [bytes(range(256)) * 20],
}


@pytest.mark.parametrize("file", sorted(GOLDEN.iterdir()), ids=lambda file: file.suffix[1:])
def test_what_was_written_is_read(file: Path, tmp_path: Path) -> None:
    digest, _, version = file.name.partition(".")
    storage = FolderStorage(str(tmp_path))
    place = tmp_path / keys.blob("F", digest)
    place.parent.mkdir(parents=True)
    shutil.copy(file, place)
    assert deserialize(BlobStore(storage, "F").get(digest)) == VALUES[version]


@pytest.mark.parametrize(
    "name", ["make_dates", "make_frame", "make_series", "make_storage", "make_tensor"]
)
def test_what_stored_values_are_made_with_keeps_its_name(name: str) -> None:
    made_with = getattr(libraries, name)
    assert (
        f"{made_with.__module__}.{made_with.__qualname__}" == f"flowsdk.artifacts.libraries.{name}"
    )
