"""Contents compressed piece by piece, so that all cores can do it, and undo it.

Compressed content: a zstd frame for each :data:`~flowsdk.datastore.hashing.PIECE` of the content, each with
a checksum, then the length of each frame (4 bytes, little endian).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from flowsdk.datastore.hashing import PIECE, PieceDigests, in_pieces, threads_for
from flowsdk.datastore.memory import in_memory
from flowsdk.datastore.storage import Buffer
from flowsdk.exception import CorruptBlob

#: Below this, compressing saves less than a request's overhead.
_FROM = 16 * 1024
#: How much of the content is tried, in the middle, to see whether compression pays.
_SAMPLE = 64 * 1024
#: Compress if the sample shrinks below this share. Level 1 writes some 0.5 GB/s a core.
_PAYS_BELOW = 0.8
_LEVEL = 1


@dataclass(frozen=True)
class Packed:
    """A compressed content.

    Attributes:
        size: Bytes of the content.
        frames: Its pieces.
    """

    size: int
    frames: Sequence[bytes] = field(repr=False)

    def parts(self) -> list[Buffer]:
        """What is stored of it, to be concatenated."""
        lengths = [len(frame) for frame in self.frames]
        return [*self.frames, struct.pack(f"<{len(lengths)}I", *lengths)]


def pays(part: Buffer) -> bool:
    """Whether it is worth while to compress what is like ``part``."""
    view = memoryview(part).cast("B")
    try:
        import zstandard
    except ImportError:  # an optional gain: without it blobs are merely larger
        return False
    middle = max(0, (view.nbytes - _SAMPLE) // 2)
    sample = view[middle : middle + _SAMPLE]
    return (
        len(zstandard.ZstdCompressor(level=_LEVEL).compress(sample)) < _PAYS_BELOW * sample.nbytes
    )


def pack(parts: Sequence[Buffer], size: int) -> Packed | None:
    """The concatenation of ``parts`` compressed; None if it is not worth it.

    Args:
        parts: The content.
        size: Its bytes.
    """
    if size < _FROM or not pays(max(parts, key=lambda part: memoryview(part).nbytes)):
        return None
    pieces = list(in_pieces(parts, PIECE))
    if len(pieces) == 1:
        return Packed(size, [frame(pieces[0])])
    with ThreadPoolExecutor(threads_for(len(pieces))) as pool:
        return Packed(size, list(pool.map(frame, pieces)))


def frame(piece: Iterable[Buffer]) -> bytes:
    """A piece of a content compressed."""
    import zstandard

    views = [memoryview(part) for part in piece]
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    stream = compressor.compressobj(size=sum(view.nbytes for view in views))
    return b"".join([*map(stream.compress, views), stream.flush()])


def unpack(stored: memoryview, size: int, seen: PieceDigests | None = None) -> memoryview:
    """The content that :func:`pack` compressed.

    Args:
        stored: What was stored of it.
        size: Its bytes.
        seen: Told of its pieces.

    Raises:
        CorruptBlob: It is not what was stored.
    """
    count = math.ceil(size / PIECE)
    end = stored.nbytes - 4 * count
    lengths = struct.unpack(f"<{count}I", stored[end:]) if end >= 0 else ()
    if sum(lengths) != end:
        raise CorruptBlob(
            f"A compressed blob cannot be read: found {stored.nbytes} bytes with frames of "
            f"{sum(lengths)}, expected {count} frames and their lengths."
        )
    room = in_memory(size)

    def piece(at: int, end: int, length: int) -> None:
        target = room[at : at + PIECE]
        _fill(stored[end - length : end], target)
        if seen:
            seen.add(at, target)

    if count == 1:
        piece(0, end, end)
    else:
        with ThreadPoolExecutor(threads_for(count)) as pool:
            list(pool.map(piece, range(0, size, PIECE), accumulate(lengths), lengths))
    return room


def decompressed(stored: memoryview, size: int) -> memoryview:
    """The content of a single zstd stream, as blobs had at first.

    Raises:
        CorruptBlob: It is none.
    """
    room = in_memory(size)
    _fill(stored, room)
    return room


def _fill(stored: memoryview, target: memoryview) -> None:
    """Decompress one frame into ``target``, which it has to fill."""
    zstandard = _zstandard()
    at = 0
    try:
        with zstandard.ZstdDecompressor().stream_reader(stored) as stream:
            while at < target.nbytes and (count := stream.readinto(target[at:])):
                at += count
            more = stream.read(1)  # looks at the checksum, too
    except zstandard.ZstdError as error:
        raise CorruptBlob(f"A compressed blob cannot be read: {error}.") from error
    if at != target.nbytes or more:
        found = "more" if more else f"{at} bytes"
        raise CorruptBlob(
            f"A compressed blob cannot be read: found {found}, expected {target.nbytes} bytes of content."
        )


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise CorruptBlob(
            "This artifact is compressed with zstd and the package 'zstandard' is not installed "
            "here. Install it (pip install zstandard)."
        ) from error
    return zstandard
