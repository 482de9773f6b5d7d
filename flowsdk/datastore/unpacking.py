"""Compressed contents read: as a whole into memory, or as a stream with the next pieces made ahead."""

from __future__ import annotations

import io
import math
import struct
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, BinaryIO

from flowsdk.datastore.hashing import PIECE, PieceDigests, threads_for
from flowsdk.datastore.memory import in_memory
from flowsdk.datastore.parallel import in_parallel
from flowsdk.exception import CorruptBlob

if TYPE_CHECKING:
    from concurrent.futures import Future

#: How many pieces a stream makes ahead at most. Each takes its size in memory.
_AHEAD = 4


class Unpacking:
    """A content that :func:`flowsdk.datastore.compression.pack` compressed, to be read once.

    Args:
        stored: What was stored of it.
        size: Its bytes.
        uri: Where it lies, for errors.
        digest: What the content is called, if it is to be verified.

    Attributes:
        size: Bytes of the content.

    Raises:
        CorruptBlob: It is not what was stored; so do the methods.
    """

    def __init__(
        self, stored: memoryview, size: int, uri: str = "", digest: str | None = None
    ) -> None:
        self.size = size
        self._stored = stored
        self._uri = uri
        self._digest = digest
        self._seen = PieceDigests()
        count = math.ceil(size / PIECE)
        end = stored.nbytes - 4 * count
        lengths = struct.unpack(f"<{count}I", stored[end:]) if end >= 0 else ()
        if sum(lengths) != end:
            raise _corrupt(
                uri,
                f"found {stored.nbytes} bytes with frames of {sum(lengths)}, expected {count} frames "
                f"and their lengths",
            )
        self._frames = list(pairwise(accumulate(lengths, initial=0)))

    def head(self, size: int) -> bytes:
        """Its first bytes, less than a piece, not verified."""
        start, end = self._frames[0]
        with _decompressing(self._stored[start:end], self._uri) as stream:
            found = bytes(stream.read(size))
        if len(found) < size:
            raise _corrupt(
                self._uri, f"found {len(found)} bytes of content, expected {size} or more"
            )
        return found

    def whole(self) -> memoryview:
        """All of it, in memory of its own; what was stored is let go."""
        room = in_memory(self.size)
        pieces = [room[at : at + PIECE] for at in range(0, self.size, PIECE)]
        in_parallel(threads_for(len(pieces)), self._fill, range(len(pieces)), pieces)
        self._verify()
        self._stored, self._frames = memoryview(b""), []
        return room

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """It as a file, to be read once from its beginning.

        It takes the memory of a few pieces, and the next ones are made while one is read. What is to be
        verified is decompressed twice: nobody sees any of it before.
        """
        if self._digest is not None:
            for _ in self._pieces():
                pass
            self._verify()
        pieces = self._pieces()
        try:
            with io.BufferedReader(_Pieces(pieces)) as file:
                yield file
        finally:
            pieces.close()

    def _verify(self) -> None:
        """Compare the digest of what was decompressed, where that is to be verified."""
        if self._digest is not None and self._seen.digest() != self._digest:
            raise mismatch(self._uri)
        self._digest = None

    def _pieces(self) -> Generator[memoryview, None, None]:
        """The pieces in order, each to be used before the next is asked for."""
        from concurrent.futures import ThreadPoolExecutor  # as in in_parallel

        count = len(self._frames)
        ahead = min(_AHEAD, count)
        rooms = [in_memory(PIECE) for _ in range(ahead + 1)]  # used in turn
        made: deque[Future[memoryview]] = deque()
        pool = ThreadPoolExecutor(threads_for(ahead))
        try:
            for number in range(count + ahead):
                if number < count:
                    room = rooms[number % len(rooms)][: self.size - number * PIECE]
                    made.append(pool.submit(self._fill, number, room))
                if number >= ahead:
                    yield made.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _fill(self, number: int, room: memoryview) -> memoryview:
        """Decompress a piece into the room that it has to fill, and return that."""
        start, end = self._frames[number]
        _decompress(self._stored[start:end], room, self._uri)
        if self._digest is not None:
            self._seen.add(number * PIECE, room)
        return room


class _Pieces(io.RawIOBase):
    """Pieces of a content as a file, as :mod:`io` wants it."""

    def __init__(self, pieces: Iterator[memoryview]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        if not self._rest.nbytes:
            self._rest = next(self._pieces, self._rest)
        count = min(memoryview(target).nbytes, self._rest.nbytes)
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def decompressed(stored: memoryview, size: int, uri: str) -> memoryview:
    """The content of a single zstd stream, as blobs had at first.

    Raises:
        CorruptBlob: It is none.
    """
    room = in_memory(size)
    _decompress(stored, room, uri)
    return room


def mismatch(uri: str) -> CorruptBlob:
    """The error for a blob that is not what its digest says."""
    return _corrupt(uri, "its content does not match its digest")


def _corrupt(uri: str, why: str) -> CorruptBlob:
    return CorruptBlob(
        f"Blob {uri}: {why}. Delete the object and run the task that wrote it again."
    )


def _decompress(stored: memoryview, target: memoryview, uri: str) -> None:
    """Decompress one frame into ``target``, which it has to fill."""
    at = 0
    with _decompressing(stored, uri) as stream:
        while at < target.nbytes and (count := stream.readinto(target[at:])):
            at += count
        more = stream.read(1)  # looks at the checksum, too
    if at != target.nbytes or more:
        found = "more" if more else f"{at} bytes"
        raise _corrupt(uri, f"found {found}, expected {target.nbytes} bytes of a piece of content")


@contextmanager
def _decompressing(stored: memoryview, uri: str) -> Iterator[Any]:
    """What a frame decompresses to, as a file."""
    try:
        import zstandard
    except ImportError as error:
        raise CorruptBlob(
            f"Blob {uri} is compressed with zstd and the package 'zstandard' is not installed here. "
            f"Install it (pip install zstandard)."
        ) from error
    try:
        with zstandard.ZstdDecompressor().stream_reader(stored) as stream:
            yield stream
    except zstandard.ZstdError as error:
        raise _corrupt(uri, f"it cannot be decompressed: {error}") from error
