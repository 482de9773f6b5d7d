"""Content-addressed blobs: equal content is stored once and never sent again.

A blob is ``magic (4) | codec (1) | digest (1) | reserved (2) | content size (8, little endian) |
padding`` up to 64 bytes, then the content, compressed (:mod:`flowsdk.datastore.compression`) if the codec
says so. The digest names the *content*, before compression, so that a changed compression setting does not change what a value is
called; the header says how it was computed. The header's length keeps buffers inside the content
aligned when a blob is mapped.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from flowsdk.datastore import compression, keys
from flowsdk.datastore.compression import Packed
from flowsdk.datastore.hashing import Digests, PieceDigests, digest_of, digests_of, plain_digest
from flowsdk.datastore.storage import Buffer, MappedFile, Storage
from flowsdk.datastore.unpacking import Unpacking, decompressed, mismatch
from flowsdk.exception import CorruptBlob

MAGIC = b"FLB1"
HEADER = struct.Struct("<4sBB2xQ48x")
#: Of the content: as it is, a single zstd stream, as at first, or a frame for each piece.
RAW, ZSTD, FRAMES = 0, 1, 2
#: Of what the digest is: of the content as a whole, as at first, or of its pieces.
WHOLE, PIECES = 0, 1
#: Below this, one conditional PUT is cheaper than asking first whether the blob is there.
_ASK_FROM = 256 * 1024


class BlobStore:
    """The blobs of one flow.

    Args:
        storage: Where the bytes lie.
        flow: Name of the flow.
    """

    def __init__(self, storage: Storage, flow: str) -> None:
        self._storage = storage
        self._flow = flow

    def put(
        self, parts: Sequence[Buffer], digests: Digests | None = None, compress: bool = True
    ) -> str:
        """Store the concatenation of ``parts`` unless it is there. Returns its digest.

        Args:
            parts: The content.
            digests: Its digests if the caller has them already.
            compress: Whether it may be compressed; not if it is to be read by range.
        """
        digests = digests or digests_of(parts)
        size = sum(memoryview(part).nbytes for part in parts)
        if not self._is_there(digests.name, size):
            packed = compression.pack(parts, size) if compress else None
            if packed is None:
                self._write(digests.name, RAW, size, parts, digests.pieces)
            else:
                self._write(digests.name, FRAMES, size, packed.parts())
        return digests.name

    def put_packed(self, packed: Packed, digest: str) -> str:
        """Store a content that is compressed already, unless it is there. Returns its digest."""
        if not self._is_there(digest, packed.size):
            self._write(digest, FRAMES, packed.size, packed.parts())
        return digest

    def _is_there(self, digest: str, size: int) -> bool:
        return size >= _ASK_FROM and self._storage.freshen(keys.blob(self._flow, digest))

    def _write(
        self,
        digest: str,
        codec: int,
        size: int,
        parts: Sequence[Buffer],
        piece_digests: Sequence[bytes] = (),
    ) -> None:
        key = keys.blob(self._flow, digest)
        header = HEADER.pack(MAGIC, codec, PIECES, size)
        if not self._storage.write(
            key, [header, *parts], if_absent=True, piece_digests=piece_digests
        ):
            self._storage.freshen(key)

    def get(self, digest: str) -> memoryview:
        """The content of a blob; privately writable, mapped where the storage can.

        What is mapped is not hashed: that would read all of it for whoever needs a part, and a file
        that has its whole length is as it was written, unless the disk is broken.

        Raises:
            KeyNotFound: There is no such blob.
            CorruptBlob: Its content is not what its digest says.
        """
        content = self.open(digest)
        return content if isinstance(content, memoryview) else content.whole()

    def open(self, digest: str) -> memoryview | Unpacking:
        """As :meth:`get`; what is compressed is left to be read as it is needed.

        Raises:
            KeyNotFound: There is no such blob.
            CorruptBlob: As for :meth:`get`.
        """
        key = keys.blob(self._flow, digest)
        seen = PieceDigests(HEADER.size)
        stored = self._storage.view(key, seen)
        codec, scheme, size = self._parse(stored[: HEADER.size], key)
        content = stored[HEADER.size :]
        known = seen.digest()
        trusted = isinstance(stored.obj, MappedFile) if known is None else known == digest
        if codec == FRAMES:
            # What is stored says nothing of the content, except where it is a file of its own checksums.
            return Unpacking(content, size, self._storage.uri(key), None if trusted else digest)
        if codec == ZSTD:
            content, trusted = decompressed(content, size, self._storage.uri(key)), False
        hashed = plain_digest if scheme == WHOLE else digest_of
        if content.nbytes != size or not (trusted or hashed([content]) == digest):
            raise mismatch(self._storage.uri(key))
        return content

    def get_range(self, digest: str, start: int, length: int) -> bytes:
        """``length`` bytes of a blob's content from ``start``, not verified against the digest.

        Raises:
            KeyNotFound: There is no such blob.
            CorruptBlob: It is not a blob, or shorter than asked for.
        """
        key = keys.blob(self._flow, digest)
        # One request for header and data when the range is near the start, which it mostly is.
        head = self._storage.read(key, 0, HEADER.size + start + length if start < 65536 else 64)
        codec, _, size = self._parse(memoryview(head)[: HEADER.size], key)
        if codec != RAW:
            return bytes(self.get(digest)[start : start + length])
        data = head[HEADER.size + start :]
        if len(data) < length and start >= 65536:
            data = self._storage.read(key, HEADER.size + start, length)
        if len(data) < length:
            raise CorruptBlob(
                f"Blob {self._storage.uri(key)}: found {size} bytes of content, expected at least "
                f"{start + length}."
            )
        return data

    def _parse(self, header: memoryview, key: str) -> tuple[int, int, int]:
        if header.nbytes < HEADER.size or header[:4] != MAGIC:
            raise CorruptBlob(
                f"Blob {self._storage.uri(key)}: found {bytes(header[:4])!r} at its start, "
                f"expected {MAGIC!r}. It was not written by flowsdk, or by a newer version."
            )
        _, codec, scheme, size = HEADER.unpack(header)
        if codec not in (RAW, ZSTD, FRAMES) or scheme not in (WHOLE, PIECES):
            raise CorruptBlob(
                f"Blob {self._storage.uri(key)}: found compression {codec} and digest {scheme}, which "
                f"this flowsdk does not know. A newer version has written it."
            )
        return codec, scheme, size
