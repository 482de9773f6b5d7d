"""A content that is written bit by bit: what has come is hashed and compressed while the rest is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowsdk.datastore import compression
from flowsdk.datastore.compression import Packed
from flowsdk.datastore.hashing import PIECE, THREADS, Digests, piece_digest, threads_for
from flowsdk.datastore.storage import Buffer
from flowsdk.datastore.unpacking import Unpacking

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

#: From so many pieces on threads pay.
_TOGETHER_FROM = 4
#: How many pieces may be under way for each thread. They take memory.
_WAITING = 2


@dataclass(frozen=True)
class Spooled:
    """A content that is complete.

    Attributes:
        parts: It, to be concatenated; empty if it is ``packed``.
        digests: Of it; None if they are still to be found out, as of small contents.
        packed: It compressed.
    """

    parts: Sequence[Buffer] = field(repr=False)
    digests: Digests | None = None
    packed: Packed | None = None


class Spool:
    """A file to write a content to, which begins with something that is known only at its end.

    How it works:
        Of a large content every piece goes to a thread as soon as it is complete. What shrinks is kept
        compressed only, so that a content need not be in memory as a whole. What does not shrink is
        kept, by reference where it was written in large parts.

    Args:
        lead: So many bytes come first, and last.
    """

    def __init__(self, lead: int) -> None:
        #: Bytes written, those of the lead included.
        self.size = lead
        self._open: list[memoryview] = []
        self._room = PIECE - lead
        #: Complete pieces: all, or where they are packed only the first, which lacks the lead.
        self._kept: list[memoryview] = []
        self._complete = False
        self._threads = threads_for(THREADS)
        self._pool: ThreadPoolExecutor | None = None
        self._packs = False
        self._jobs: list[Future[tuple[bytes, bytes]]] = []

    def write(self, data: Buffer) -> int:
        """Append; what a memoryview refers to must not change any more."""
        # pickle hands over bytearrays as they are, and these are still the user's.
        rest = memoryview(bytes(data) if isinstance(data, bytearray) else data).cast("B")
        count = rest.nbytes
        self.size += count
        while rest.nbytes:
            view = rest[: self._room]
            self._open.append(view)
            self._room -= view.nbytes
            rest = rest[view.nbytes :]
            if not self._room:
                self._seal()
        return count

    def close(self) -> None:
        """Give up what is under way."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def finish(self, lead: bytes, rest: Sequence[Buffer]) -> Spooled:
        """The content.

        Args:
            lead: Its first bytes.
            rest: Further parts of it, which are not copied.
        """
        if self._pool is None:
            return Spooled([lead, b"".join([*self._kept, *self._open]), *rest])
        if self._packs and not self._shrinks_with(rest):
            frames = [job.result()[1] for job in self._jobs]
            packed = Packed(PIECE * len(frames), frames)
            stored = memoryview(b"".join(packed.parts()))
            return Spooled(
                [lead, *self._kept, Unpacking(stored, packed.size).whole(), *self._open, *rest]
            )
        parts = [lead, *self._kept, *self._open, *rest]
        self._complete = True
        for part in rest:
            self.write(part)
        if self._open:
            self._seal()
        first = _hashed([memoryview(lead), self._kept[0]], self._packs)
        done = [first, *(job.result() for job in self._jobs)]
        digests = Digests.of_pieces(digest for digest, _ in done)
        if self._packs:
            return Spooled([], digests, Packed(self.size, [frame for _, frame in done]))
        return Spooled(parts, digests)

    def _shrinks_with(self, rest: Sequence[Buffer]) -> bool:
        """Where most of a content does not shrink it is stored as it is, so that it can be mapped."""
        sizes = [memoryview(part).nbytes for part in rest]
        return sum(sizes) < self.size or compression.pays(rest[sizes.index(max(sizes))])

    def _seal(self) -> None:
        piece, self._open, self._room = self._open, [], PIECE
        if not self._complete and len(piece) > 1:
            # For each part a thread that hashes wants the interpreter, which the writer has.
            piece = [memoryview(b"".join(piece))]
        if self._pool is not None:
            self._hand_over(piece, self._pool)
            return
        self._kept += piece
        if len(self._kept) == _TOGETHER_FROM:
            from concurrent.futures import ThreadPoolExecutor  # as in flowsdk.datastore.parallel

            self._packs = compression.pays(self._kept[-1])
            self._pool = ThreadPoolExecutor(self._threads)
            waiting, self._kept = self._kept[1:], self._kept[:1]
            for one in waiting:
                self._hand_over([one], self._pool)

    def _hand_over(self, piece: list[memoryview], pool: ThreadPoolExecutor) -> None:
        self._jobs.append(pool.submit(_hashed, piece, self._packs))
        if not (self._packs or self._complete):
            self._kept += piece
        elif len(self._jobs) > _WAITING * self._threads:
            self._jobs[-_WAITING * self._threads].result()


def _hashed(piece: Sequence[memoryview], packs: bool) -> tuple[bytes, bytes]:
    """The digest of a piece and, if it is wanted, its frame."""
    return piece_digest(piece), compression.frame(piece) if packs else b""
