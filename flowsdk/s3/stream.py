"""Reading an object bit by bit."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from flowsdk.datastore import hashing

if TYPE_CHECKING:
    from flowsdk.s3.transfers import Transfers


class S3Stream(io.RawIOBase):
    """An object as a file that is read where one reads: seeking costs nothing.

    Args:
        transfers: Reads it.
        bucket: Where it is.
        key: Its key.

    Raises:
        KeyNotFound: There is no such object.
    """

    def __init__(self, transfers: Transfers, bucket: str, key: str) -> None:
        self._transfers = transfers
        self._bucket, self._key = bucket, key
        headers = transfers.head(bucket, key)
        self._size = int(headers["content-length"])
        self._etag = headers.get("etag")
        self._at = 0
        self.name = f"s3://{bucket}/{key}"

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
        """Go to a place; raises ValueError if it is before the beginning."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"{self.name}: cannot seek to {base + offset}, expected 0 or more.")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the object goes."""
        target = memoryview(buffer).cast("B")
        wanted = min(target.nbytes, self._size - self._at)
        if wanted <= 0:
            return 0
        content = self._transfers.get(
            self._bucket,
            self._key,
            self._at,
            wanted,
            allocate=lambda size: target[:size],
            etag=self._etag,
        )
        self._at += content.data.nbytes
        return content.data.nbytes


def open_stream(transfers: Transfers, bucket: str, key: str) -> io.BufferedReader:
    """An object as a buffered file; it reads ahead by one piece."""
    return io.BufferedReader(S3Stream(transfers, bucket, key), hashing.PIECE)
