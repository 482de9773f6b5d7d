from __future__ import annotations

import random

import pytest

from flowsdk.datastore import compression
from flowsdk.datastore.hashing import PIECE, PieceDigests, digest_of
from flowsdk.exception import CorruptBlob

TEXT = b"".join(b"lorem ipsum %d dolor sit amet " % n for n in range(600_000))


def stored(content: bytes) -> bytearray:
    packed = compression.pack([content[:9], memoryview(content)[9:]], len(content))
    assert packed is not None
    return bytearray(b"".join(packed.parts()))


@pytest.mark.parametrize("size", [20_000, PIECE, PIECE + 1, 2 * PIECE + 12_345])
def test_what_is_packed_is_unpacked(size: int) -> None:
    content = TEXT[:size]
    pieces = PieceDigests()
    data = stored(content)
    assert len(data) < size / 2
    assert compression.unpack(memoryview(data), size, pieces) == content
    assert pieces.digest() == digest_of([content])


@pytest.mark.parametrize("content", [TEXT[:1000], random.Random(0).randbytes(100_000)])
def test_what_does_not_shrink_is_left_as_it_is(content: bytes) -> None:
    assert compression.pack([content], len(content)) is None


@pytest.mark.parametrize("where", [0, 100, -1, -5, "short", "long"])
def test_no_damage_goes_unnoticed(where: int | str) -> None:
    data = stored(TEXT[: PIECE + 5])
    if where == "short":
        data = data[:-1]
    elif where == "long":
        data += b"\0"
    else:
        data[where] ^= 1  # type: ignore[index]
    with pytest.raises(CorruptBlob, match="cannot be read"):
        compression.unpack(memoryview(data), PIECE + 5)


@pytest.mark.parametrize("size", [PIECE + 4, PIECE + 6, 5, 10 * PIECE])
def test_another_size_is_damage(size: int) -> None:
    with pytest.raises(CorruptBlob, match="cannot be read"):
        compression.unpack(memoryview(stored(TEXT[: PIECE + 5])), size)
