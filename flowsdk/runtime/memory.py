"""Whether Linux has killed a process of this container because its memory ran out."""

from __future__ import annotations

import contextlib
from pathlib import Path

#: Where Linux counts that: by version 2 and version 1 of control groups. A container sees its own as
#: the root. https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files and
#: https://docs.kernel.org/admin-guide/cgroup-v1/memory.html#oom-control
_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


def oom_kills() -> int:
    """How many processes of this container Linux has killed for want of memory; 0 where unknown."""
    for path in _COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(path).read_text("ascii").splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0
