"""Whether a mapped artifact is as it was loaded, without reading it.

A private mapping takes a page of its own for each page that is written to; the kernel tells how many.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from flowsdk.datastore.storage import Buffer, MappedFile

#: https://docs.kernel.org/filesystems/proc.html: one block of lines for each mapping.
_SMAPS = Path("/proc/self/smaps")
_BLOCK = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ", re.MULTILINE)
_OWN_PAGES = re.compile(r"^(?:Anonymous|Swap): +([0-9]+) kB", re.MULTILINE)


def is_in_place(parts: Sequence[Buffer], content: memoryview) -> bool:
    """Whether serialized parts are what they were deserialized from.

    Args:
        parts: Of a payload. Its buffers count only where they lie in ``content`` itself.
        content: What the value was deserialized from.

    Returns:
        False also if that cannot be told: where the content is not mapped, or not on Linux.
    """
    if not isinstance(content.obj, MappedFile):
        return False
    begin, at = _address(content), 0
    if begin is None:
        return False
    for part in parts:
        size = memoryview(part).nbytes
        if isinstance(part, bytes):
            if content[at : at + size].tobytes() != part:
                return False
        elif size and _address(memoryview(part)) != begin + at:
            return False
        at += size
    return at == content.nbytes and _is_untouched(begin, begin + at)


def _address(view: memoryview) -> int | None:
    import ctypes  # not loaded for those who map nothing

    if view.readonly:
        return None
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def _is_untouched(begin: int, end: int) -> bool:
    try:
        text = _SMAPS.read_text("ascii", "replace")
    except OSError:
        return False
    found = False
    for first, last, block in _blocks(text):
        if first < end and begin < last:
            found = True
            counts = _OWN_PAGES.findall(block)
            if not counts or any(map(int, counts)):
                return False
    return found


def _blocks(text: str) -> Iterator[tuple[int, int, str]]:
    heads = list(_BLOCK.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    for head, end in zip(heads, ends, strict=True):
        yield int(head[1], 16), int(head[2], 16), text[head.end() : end]
