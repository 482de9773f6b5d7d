"""Contents compressed piece by piece, so that all cores can do it, and undo it (:mod:`.unpacking`).

Compressed content: a zstd frame for each :data:`~flowsdk.datastore.hashing.PIECE` of the content, each with
a checksum, then the length of each frame (4 bytes, little endian).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flowsdk.datastore.hashing import PIECE, in_pieces, threads_for
from flowsdk.datastore.parallel import in_parallel
from flowsdk.datastore.storage import Buffer

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
    return Packed(size, in_parallel(threads_for(len(pieces)), frame, pieces))


def frame(piece: Iterable[Buffer]) -> bytes:
    """A piece of a content compressed."""
    import zstandard

    views = [memoryview(part) for part in piece]
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    stream = compressor.compressobj(size=sum(view.nbytes for view in views))
    return b"".join([*map(stream.compress, views), stream.flush()])
