from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import pytest

from flowsdk.datastore import spool
from flowsdk.datastore.hashing import PIECE, digests_of
from flowsdk.datastore.spool import Spool, Spooled
from flowsdk.datastore.unpacking import Unpacking

LEAD = b"lead".ljust(64, b"\0")
TEXT = b"lorem ipsum dolor sit amet " * 4_000_000
NOISE = random.Random(0).randbytes(7 * PIECE)


def text(size: int) -> bytes:
    return TEXT[:size]


def noise(size: int) -> bytes:
    return NOISE[:size]


def in_chunks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def content_of(spooled: Spooled) -> bytes:
    if spooled.packed is None:
        return b"".join(spooled.parts)
    stored = b"".join(spooled.packed.parts())
    return bytes(Unpacking(memoryview(stored), spooled.packed.size).whole())


@pytest.mark.parametrize("chunk", [64 * 1024, 5 * PIECE + 3])
@pytest.mark.parametrize("rest", [[], [b"\0" * 7, noise(PIECE + 5)], [text(1000)]], ids=len)
@pytest.mark.parametrize("make", [text, noise])
@pytest.mark.parametrize("size", [0, 1000, 3 * PIECE - 64, 4 * PIECE - 64, 6 * PIECE + 99])
def test_the_content_is_what_was_written(
    size: int, make: Callable[[int], bytes], rest: list[bytes], chunk: int
) -> None:
    written = make(size)
    file = Spool(len(LEAD))
    for part in in_chunks(written, chunk):
        assert file.write(part) == len(part)
    assert file.size == len(LEAD) + size
    spooled = file.finish(LEAD, rest)
    whole = b"".join([LEAD, written, *rest])
    assert content_of(spooled) == whole
    assert spooled.digests in (None, digests_of([whole]))
    large = size >= 4 * PIECE - 64
    assert bool(spooled.digests) is large
    assert (spooled.packed is not None) is (large and make is text)


def test_what_shrinks_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[int] = []
    hashed = spool._hashed

    def counted(piece: Sequence[memoryview], packs: bool) -> tuple[bytes, bytes]:
        waiting.append(len(file._jobs) - sum(job.done() for job in file._jobs))
        return hashed(piece, packs)

    monkeypatch.setattr(spool, "_hashed", counted)
    file = Spool(64)
    for part in in_chunks(text(12 * PIECE), 64 * 1024):
        file.write(part)
    assert len(file._kept) == 1  # the first, which lacks the lead
    assert max(waiting) <= spool._WAITING * file._threads + 1
    file.close()


def test_what_does_not_shrink_is_kept_where_it_is() -> None:
    written = noise(5 * PIECE)
    file = Spool(64)
    file.write(b"head")
    file.write(written)
    parts = file.finish(LEAD, [b"tail"]).parts
    assert sum(memoryview(p).nbytes for p in parts if memoryview(p).obj is written) > 4 * PIECE


def test_what_comes_last_is_not_copied() -> None:
    columns = [noise(PIECE // 2 + n) for n in range(8)]
    file = Spool(64)
    for part in in_chunks(noise(5 * PIECE), 64 * 1024):
        file.write(part)
    kept = len(file._kept)
    spooled = file.finish(LEAD, columns)
    assert spooled.digests == digests_of(spooled.parts)
    assert len(file._kept) == kept
    assert [part for part in spooled.parts if part in columns] == columns


def test_where_most_does_not_shrink_nothing_is_packed() -> None:
    written, array = text(5 * PIECE), noise(6 * PIECE)
    file = Spool(64)
    for part in in_chunks(written, 64 * 1024):
        file.write(part)
    spooled = file.finish(LEAD, [b"\0", array])
    assert spooled.packed is None
    assert spooled.parts[-1] is array
    assert content_of(spooled) == b"".join([LEAD, written, b"\0", array])


def test_it_can_be_given_up() -> None:
    file = Spool(64)
    file.write(noise(5 * PIECE))
    file.close()
    assert file._pool is not None
    with pytest.raises(RuntimeError):
        file._pool.submit(print)
