"""The same work on many things at once, where waiting or several cores make that pay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def in_parallel(threads: int, work: Callable[..., T], *items: Iterable[Any]) -> list[T]:
    """``list(map(work, *items))``, done by several threads.

    Args:
        threads: At most so many; with one, all is done here.
        work: Called with one of each of ``items``.
        items: As for ``map``.

    Raises:
        Exception: The first that ``work`` raises, in the order of the items.
    """
    if threads < 2:
        return list(map(work, *items))
    # Not above: it loads logging and more, a megabyte that small tasks on a laptop never need.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, *items))
