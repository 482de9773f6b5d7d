"""Room in memory for a large content."""

from __future__ import annotations

import mmap

#: From this size on room is mapped: the kernel makes its pages while it is filled. Not huge ones: what a
#: virtual machine has given back to its host are just those, and to get them again takes longest.
_MAPPED_FROM = 1024 * 1024


def in_memory(size: int) -> memoryview:
    """``size`` writable bytes, all zero, of this process alone; raises MemoryError."""
    if size < _MAPPED_FROM or not hasattr(mmap, "MAP_PRIVATE"):
        return memoryview(bytearray(size))
    # Python's default is shared with processes that are forked later, and slower.
    try:
        room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError) as error:
        raise MemoryError(f"There is no room in memory for {size} bytes.") from error
    return memoryview(room)
