from __future__ import annotations

import pytest

from flowsdk.datastore import compression
from flowsdk.datastore.hashing import PIECE, digest_of
from flowsdk.datastore.unpacking import Unpacking
from flowsdk.exception import CorruptBlob

TEXT = b"".join(b"lorem ipsum %d dolor sit amet " % n for n in range(2_400_000))
#: More pieces than a stream makes ahead.
LONG = 8 * PIECE + 12_345
assert len(TEXT) > LONG


def stored(content: bytes) -> bytearray:
    packed = compression.pack([content[:9], memoryview(content)[9:]], len(content))
    assert packed is not None
    return bytearray(b"".join(packed.parts()))


def unpacking(data: bytes | bytearray, size: int, digest: str | None = None) -> Unpacking:
    return Unpacking(memoryview(data), size, "s3://b/blob", digest)


@pytest.mark.parametrize("size", [20_000, PIECE, PIECE + 1, LONG])
@pytest.mark.parametrize("verified", [True, False])
def test_what_is_packed_is_unpacked(size: int, verified: bool) -> None:
    content = TEXT[:size]
    data = stored(content)
    assert len(data) < size / 2
    digest = digest_of([content]) if verified else None
    assert unpacking(data, size, digest).whole() == content
    assert unpacking(data, size).head(99) == content[:99]
    with unpacking(data, size, digest).stream() as file:
        assert file.read() == content


def test_a_stream_can_be_read_in_any_portions() -> None:
    content = TEXT[:LONG]
    found = b""
    with unpacking(stored(content), LONG).stream() as file:
        for count in (0, 1, 70_000, 2 * PIECE, 5, PIECE, LONG, 7):
            portion = file.read(count)
            assert portion == content[len(found) : len(found) + count]
            found += portion
        assert file.read(1) == b""
    assert found == content


def test_nobody_sees_what_is_not_what_its_name_says() -> None:
    size = 3 * PIECE
    data = stored(TEXT[:size])
    with pytest.raises(CorruptBlob, match="Blob s3://b/blob: its content does not match its"):
        unpacking(data, size, "0" * 64).whole()
    with pytest.raises(CorruptBlob, match="digest"), unpacking(data, size, "0" * 64).stream():
        pytest.fail("it could be read")


def test_a_stream_may_be_left_before_its_end() -> None:
    with unpacking(stored(TEXT[:LONG]), LONG).stream() as file:
        assert file.read(5) == TEXT[:5]
    with (
        pytest.raises(ValueError, match="nonsense"),
        unpacking(stored(TEXT[:LONG]), LONG).stream() as file,
    ):
        raise ValueError(f"nonsense: {file.read(5)!r}")


@pytest.mark.parametrize("where", [0, 100, -1, -5, "short", "long"])
def test_no_damage_goes_unnoticed(where: int | str) -> None:
    data = stored(TEXT[: PIECE + 5])
    if where == "short":
        data = data[:-1]
    elif where == "long":
        data += b"\0"
    else:
        data[where] ^= 1  # type: ignore[index]
    with pytest.raises(CorruptBlob, match=r"Blob s3://b/blob: .* Delete the object"):
        unpacking(data, PIECE + 5).whole()
    with (
        pytest.raises(CorruptBlob, match="Blob s3://b/blob: "),
        unpacking(data, PIECE + 5).stream() as file,
    ):
        file.read()


@pytest.mark.parametrize("size", [PIECE + 4, PIECE + 6, 5, 10 * PIECE])
def test_another_size_is_damage(size: int) -> None:
    with pytest.raises(CorruptBlob, match="Delete the object"):
        unpacking(stored(TEXT[: PIECE + 5]), size).whole()
