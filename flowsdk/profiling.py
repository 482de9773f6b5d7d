"""``profile``: how long a piece of a step takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager


@contextmanager
def profile(label: str, stats_dict: MutableMapping[str, float] | None = None) -> Iterator[None]:
    """Measure the time that the ``with`` block takes, also if it raises.

    Args:
        label: Name of what is measured.
        stats_dict: Where milliseconds are added up under ``label``. By default they are printed,
            and that the block begins is too.
    """
    if stats_dict is None:
        sys.stdout.write(f"PROFILE: {label} starting\n")
    started = time.perf_counter()
    try:
        yield
    finally:
        took_ms = (time.perf_counter() - started) * 1000
        if stats_dict is None:
            sys.stdout.write(f"PROFILE: {label} completed in {took_ms:.0f}ms\n")
        else:
            stats_dict[label] = stats_dict.get(label, 0) + took_ms
