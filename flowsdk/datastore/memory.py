"""Room in memory for a large content."""

from __future__ import annotations

import mmap
from contextlib import suppress

#: From this size on room is mapped: the kernel makes its pages, and large ones, while it is filled.
_MAPPED_FROM = 1024 * 1024


def in_memory(size: int) -> memoryview:
    """``size`` writable bytes, all zero, of this process alone; raises MemoryError."""
    if size < _MAPPED_FROM or not hasattr(mmap, "MAP_PRIVATE"):
        return memoryview(bytearray(size))
    # Python's default is shared with processes that are forked later, and gets no large pages.
    try:
        room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError) as error:
        raise MemoryError(f"There is no room in memory for {size} bytes.") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            room.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(room)
