"""What the :class:`~flowsdk.s3.client.S3` client takes and gives."""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

#: Where the names and values that a user adds to an object are kept, as JSON; Metaflow's name for it.
USER_METADATA = "metaflow-user-attributes"


class S3GetObject(NamedTuple):
    """A range of an object, to be read.

    Attributes:
        key: Of the object.
        offset: Its first byte; counted from the object's end if negative.
        length: How many bytes at most; None or a negative number for all that follow.
    """

    key: str
    offset: int = 0
    length: int | None = None


class S3PutObject(NamedTuple):
    """An object to be written, with what is known of it.

    Attributes:
        key: Where.
        value: The content, for ``put`` and ``put_many``.
        path: The file with the content, for ``put_files``.
        content_type: MIME type.
        encryption: Server-side encryption, such as ``aws:kms``.
        metadata: Names and values to be kept with it.
    """

    key: str
    value: Any = None
    path: str | None = None
    content_type: str | None = None
    encryption: str | None = None
    metadata: Mapping[str, Any] | None = None


class RangeInfo(NamedTuple):
    """Which part of an object was read.

    Attributes:
        total_size: Of the object, in bytes.
        request_offset: The first byte that was read.
        request_length: How many were.
    """

    total_size: int
    request_offset: int = 0
    request_length: int | None = None


class S3Object:
    """An object in S3, or a name where there is none.

    Args:
        prefix: What its key is relative to; None for a full URL.
        url: ``s3://bucket/key``.
        size: In bytes, as far as it was read; None if there is no such object.
        data: What was read into memory.
        file: The file that was read into.
        keep: Writes data to a temporary file and gives its path.
        headers: What S3 told of it, by names in small letters; empty if it was not asked.
    """

    def __init__(
        self,
        prefix: str | None,
        url: str,
        size: int | None = None,
        data: memoryview | None = None,
        file: str | None = None,
        keep: Callable[[memoryview], str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._prefix = None if prefix == url else prefix
        self._url = url
        self._size = size
        self._data = data
        self._file = file
        self._keep = keep
        self._headers = headers or {}

    @property
    def exists(self) -> bool:
        """Whether there is such an object."""
        return self._size is not None

    @property
    def downloaded(self) -> bool:
        """Whether ``blob``, ``text``, ``view`` and ``path`` have its content."""
        return self._data is not None or self._file is not None

    @property
    def url(self) -> str:
        """``s3://bucket/key``."""
        return self._url

    @property
    def prefix(self) -> str | None:
        """What ``key`` is relative to; None if it is a full URL."""
        return self._prefix

    @property
    def key(self) -> str:
        """As it was asked for: relative to ``prefix``, or the full URL."""
        if self._prefix is None:
            return self._url
        return self._url[len(self._prefix.rstrip("/")) + 1 :].rstrip("/")

    @property
    def path(self) -> str | None:
        """A file with the content, which is removed when the client is closed."""
        if self._file is None and self._data is not None and self._keep is not None:
            self._file = self._keep(self._data)
        return self._file

    @property
    def view(self) -> memoryview | None:
        """The content without a copy of it: a file is mapped."""
        if self._data is None and self._file is not None:
            with Path(self._file).open("rb") as file:
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return self._data

    @property
    def blob(self) -> bytes | None:
        """The content."""
        if self._data is None and self._file is not None:
            return Path(self._file).read_bytes()
        return None if self._data is None else bytes(self._data)

    @property
    def text(self) -> str | None:
        """The content as text, in UTF-8."""
        content = self.blob
        return None if content is None else content.decode("utf-8")

    @property
    def size(self) -> int | None:
        """Bytes, as far as it was read; None if there is no such object."""
        return self._size

    @property
    def has_info(self) -> bool:
        """Whether S3 was asked for what follows."""
        return bool(self._headers)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the user has kept with it."""
        kept = self._headers.get(f"x-amz-meta-{USER_METADATA}")
        return None if kept is None else dict(json.loads(kept))

    @property
    def content_type(self) -> str | None:
        """MIME type."""
        return self._headers.get("content-type")

    @property
    def encryption(self) -> str | None:
        """Server-side encryption."""
        return self._headers.get("x-amz-server-side-encryption")

    @property
    def version(self) -> str | None:
        """Id of the version that was read, in a bucket that keeps versions."""
        return self._headers.get("x-amz-version-id")

    @property
    def last_modified(self) -> float | None:
        """When it was written, in seconds since 1970."""
        told = self._headers.get("last-modified")
        return None if told is None else parsedate_to_datetime(told).timestamp()

    @property
    def range_info(self) -> RangeInfo | None:
        """Which part was read; None if nothing was, or S3 was not asked."""
        if not self._headers or self._size is None or not self.downloaded:
            return None
        span, _, total = (
            self._headers.get("content-range", "").removeprefix("bytes ").partition("/")
        )
        begin = int(span.partition("-")[0] or 0)
        return RangeInfo(int(total or self._size), begin, self._size)

    def __str__(self) -> str:
        if self.downloaded:
            return f"<S3Object {self._url} ({self._size} bytes, downloaded)>"
        if self.exists:
            return f"<S3Object {self._url} ({self._size} bytes, not downloaded)>"
        return f"<S3Object {self._url} (does not exist)>"

    __repr__ = __str__
