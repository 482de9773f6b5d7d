"""The digest that names a content: SHA-256, over several cores where there is much of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

from flowsdk.datastore.parallel import in_parallel
from flowsdk.datastore.storage import Buffer

if TYPE_CHECKING:
    import hashlib

#: Contents larger than this are hashed in pieces of this size. It is also what one request to S3 moves
#: of a large object: enough that its latency does not count, little enough to be sent again.
PIECE = 8 * 1024 * 1024
#: Bytes from which on OpenSSL's SHA-256, ten times as fast as Python's own, pays for being loaded. That
#: takes 3 MB and 4 ms, which a trivial task saves. The digests are names: no secret rests on them.
_MUCH = 64 * 1024
#: More threads than this do not pay: memory is not faster.
THREADS = 8
#: So that the digest of digests is that of no content.
_TREE = b"flowsdk pieces\0"


class Digests(NamedTuple):
    """Digests of a content.

    SHA-256 because S3 can verify it, every Python has it, and CPUs have instructions for it.

    Attributes:
        name: What the content is called, in hex: its SHA-256, or of more than :data:`PIECE` bytes that of
            the SHA-256 of every piece.
        pieces: SHA-256 of every piece, where there are several.
    """

    name: str
    pieces: Sequence[bytes] = ()

    @classmethod
    def of_pieces(cls, pieces: Iterable[bytes]) -> Digests:
        """From the SHA-256 of each piece, in order."""
        digests = tuple(pieces)
        if len(digests) == 1:
            return cls(digests[0].hex())
        return cls(plain_digest([_TREE, *digests]), digests)


def digests_of(parts: Sequence[Buffer]) -> Digests:
    """Of the concatenation of ``parts``."""
    pieces = list(in_pieces(parts, PIECE))
    if len(pieces) < 2:
        return Digests(plain_digest(parts))
    return Digests.of_pieces(in_parallel(threads_for(len(pieces)), piece_digest, pieces))


def digest_of(parts: Sequence[Buffer]) -> str:
    """What names the concatenation of ``parts``: ``digests_of(parts).name``."""
    return digests_of(parts).name


def piece_digest(piece: Sequence[Buffer]) -> bytes:
    """SHA-256 of one piece."""
    hasher = _sha256(sum(memoryview(part).nbytes for part in piece))
    for part in piece:
        hasher.update(part)
    return hasher.digest()


def plain_digest(parts: Sequence[Buffer]) -> str:
    """SHA-256 of the concatenation of ``parts``, in hex, whatever its size."""
    return piece_digest(parts).hex()


def _sha256(size: int) -> hashlib._Hash:
    """A hasher for so many bytes."""
    if size < _MUCH and "hashlib" not in sys.modules and _sha256_of_python is not None:
        return _sha256_of_python()
    import hashlib

    return hashlib.sha256()


def _find_sha256_of_python() -> Callable[[], hashlib._Hash] | None:
    """The one that Python brings itself, which its ``random`` uses likewise; some builds have none."""
    for module in ("_sha2", "_sha256"):  # the latter up to Python 3.11
        with suppress(ImportError, AttributeError):
            return cast("Callable[[], hashlib._Hash]", import_module(module).sha256)
    return None


_sha256_of_python = _find_sha256_of_python()


class PieceDigests:
    """SHA-256 of the pieces of a content, as they come, in any order and from any thread.

    Args:
        lead: So many bytes before the content are not part of it.
    """

    def __init__(self, lead: int = 0) -> None:
        self.lead = lead
        self._digests: dict[int, bytes] = {}

    def add(self, at: int, piece: memoryview) -> None:
        """Take a piece that begins at byte ``at``; the first one has the lead before it."""
        self._digests[at] = piece_digest([piece if at else piece[self.lead :]])

    def digest(self) -> str | None:
        """As :func:`digest_of` once all pieces were added; None if there was none."""
        if not self._digests:
            return None
        return Digests.of_pieces(self._digests[at] for at in sorted(self._digests)).name


def in_pieces(parts: Iterable[Buffer], size: int, lead: int = 0) -> Iterator[list[memoryview]]:
    """The concatenation of ``parts`` cut after every ``size`` bytes; nothing is copied.

    Args:
        parts: The content.
        size: Bytes of each piece but the last.
        lead: The first piece is longer by so many.
    """
    piece: list[memoryview] = []
    room = size + lead
    for part in parts:
        rest = memoryview(part).cast("B")
        while rest.nbytes:
            piece.append(rest[:room])
            rest = rest[room:]
            room -= piece[-1].nbytes
            if not room:
                yield piece
                piece, room = [], size
    if piece:
        yield piece


def threads_for(pieces: int) -> int:
    """How many threads pay for so many pieces."""
    return max(1, min(THREADS, cores(), pieces))


def cores() -> int:
    """How many cores this process may use, which in a container are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
