"""A file over several buffers, so that they need not be joined to be uploaded."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any


class PartsReader(io.RawIOBase):
    """Reads the concatenation of buffers.

    Args:
        parts: The buffers, which must not change meanwhile.
    """

    def __init__(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        self._parts = [memoryview(part).cast("B") for part in parts]
        self._size = sum(part.nbytes for part in self._parts)
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place within the content; the nearest one if there is none such."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, min(self._size, base + offset))
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the content goes."""
        target = memoryview(buffer).cast("B")
        done, skip = 0, self._at
        for part in self._parts:
            if skip >= part.nbytes:
                skip -= part.nbytes
                continue
            count = min(part.nbytes - skip, target.nbytes - done)
            target[done : done + count] = part[skip : skip + count]
            done, skip = done + count, 0
            if done == target.nbytes:
                break
        self._at += done
        return done
