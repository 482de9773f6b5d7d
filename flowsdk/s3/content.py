"""What is written to S3, and where large objects are read to."""

from __future__ import annotations

import errno
import io
import mmap
import os
from pathlib import Path
from typing import Any

from flowsdk.exception import S3InsufficientDiskSpace, S3InvalidObject

#: A larger object is read into a file, so that many do not fill the memory.
FILES_FROM = 1024 * 1024


def content_of(key: str, value: Any) -> memoryview:
    """A value as bytes; raises S3InvalidObject if it is none of what can be stored."""
    if isinstance(value, str):
        return memoryview(value.encode("utf-8"))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return memoryview(value)
    if isinstance(value, (io.RawIOBase, io.BufferedIOBase)):
        return memoryview(value.read() or b"")
    raise S3InvalidObject(
        f"S3.put ({key}): found a {type(value).__name__}, expected text, bytes or a binary file. "
        "Serialize it first."
    )


def file_content(path: str) -> memoryview:
    """A file, mapped if it is large: its pages are read when they are sent."""
    with Path(path).open("rb") as file:
        if os.fstat(file.fileno()).st_size < FILES_FROM:
            return memoryview(file.read())
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def mapped(path: str, size: int) -> memoryview:
    """A file of a size, as a buffer; its blocks are there, so writing to it cannot fail."""
    with Path(path).open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise S3InsufficientDiskSpace(
                    f"S3 (temporary folder {Path(path).parent}): found no room for {size} "
                    "bytes. Give another folder: S3(tmproot=…)."
                ) from error
            os.truncate(file.fileno(), size)
        return memoryview(mmap.mmap(file.fileno(), size))
