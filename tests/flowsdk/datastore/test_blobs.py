from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest

from flowsdk.datastore import Storage, keys
from flowsdk.datastore.blobs import HEADER, BlobStore
from flowsdk.datastore.folder import FolderStorage
from flowsdk.exception import CorruptBlob, KeyNotFound

COMPRESSIBLE = b"abcdefgh" * 50_000
RANDOM = os.urandom(400_000)


@pytest.mark.parametrize("content", [b"", b"x", COMPRESSIBLE, RANDOM], ids=["0", "1", "zip", "raw"])
def test_what_is_put_is_got(storage: Storage, content: bytes) -> None:
    blobs = BlobStore(storage, "F")
    half = len(content) // 2
    digest = blobs.put([content[:half], memoryview(content)[half:]])
    assert digest == hashlib.sha256(content).hexdigest()
    assert blobs.get(digest) == content
    assert blobs.get_range(digest, half, len(content) - half) == content[half:]


def test_compression_only_where_it_pays(storage: Storage) -> None:
    blobs = BlobStore(storage, "F")
    sizes = {}
    for content in (COMPRESSIBLE, RANDOM):
        key = keys.blob("F", blobs.put([content]))
        sizes[content] = len(storage.read(key)) - HEADER.size
    assert sizes[COMPRESSIBLE] < len(COMPRESSIBLE) / 20
    assert sizes[RANDOM] == len(RANDOM)


def test_equal_content_is_stored_once(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = BlobStore(storage, "F")
    first = blobs.put([RANDOM])
    monkeypatch.setattr(storage, "write", lambda *_, **__: pytest.fail("written again"))
    assert blobs.put([RANDOM[:7], RANDOM[7:]]) == first


def test_a_range_far_inside(storage: Storage) -> None:
    blobs = BlobStore(storage, "F")
    digest = blobs.put([RANDOM], compress=False)
    assert blobs.get_range(digest, 300_000, 10) == RANDOM[300_000:300_010]
    with pytest.raises(CorruptBlob, match="expected at least 400001"):
        blobs.get_range(digest, 399_999, 2)


def test_a_missing_blob(storage: Storage) -> None:
    with pytest.raises(KeyNotFound):
        BlobStore(storage, "F").get("0" * 64)


@pytest.mark.parametrize("damage", ["flipped", "short", "empty", "foreign", "codec"])
def test_damage_is_noticed(storage: Storage, damage: str) -> None:
    blobs = BlobStore(storage, "F")
    digest = blobs.put([RANDOM])
    key = keys.blob("F", digest)
    data = bytearray(storage.read(key))
    if damage == "flipped":
        data[-1] ^= 1
    elif damage == "codec":
        data[4] = 77
    data = {"short": data[:-1], "empty": bytearray(), "foreign": bytearray(b"PK34" * 99)}.get(
        damage, data
    )
    storage.write(key, [bytes(data)])
    with pytest.raises(CorruptBlob, match="[Bb]lob"):
        blobs.get(digest)


def test_damage_of_a_large_compressed_file_is_noticed(tmp_path: Path) -> None:
    """It is mapped, and not hashed: what was compressed has checksums of its own."""
    content = random.Random(0).randbytes(60_000_000).translate(bytes(n % 8 for n in range(256)))
    storage = FolderStorage(str(tmp_path))
    blobs = BlobStore(storage, "F")
    digest = blobs.put([content])
    path = tmp_path / keys.blob("F", digest)
    assert 16 * 2**20 < path.stat().st_size < len(content) / 2
    assert blobs.get(digest) == content
    assert blobs.get_range(digest, 30_000_000, 10) == content[30_000_000:30_000_010]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptBlob, match="cannot be decompressed"):
        blobs.get(digest)
