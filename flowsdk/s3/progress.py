"""How far a long transfer is, in a terminal."""

from __future__ import annotations

import sys
import threading
import time

#: A transfer that is over before this needs no bar.
_QUIET_SECONDS = 2.0
_EVERY_SECONDS = 0.2
_WIDTH = 24


class Progress:
    """A line on standard error that is rewritten while bytes go by; nothing where it is no terminal.

    Args:
        what: Such as ``Downloading``.
        total: How many objects there are.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._done = self._bytes = 0
        self._shown = False
        self._began = self._last = time.monotonic()
        self._lock = threading.Lock()
        self._visible = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def add(self, size: int, objects: int = 0) -> None:
        """So many bytes have been moved, and objects completed."""
        with self._lock:
            self._done += objects
            self._bytes += size
            now = time.monotonic()
            late = now - self._began > _QUIET_SECONDS
            if self._visible and late and now - self._last > _EVERY_SECONDS:
                self._last, self._shown = now, True
                self._show(now - self._began)

    def _show(self, elapsed: float) -> None:
        filled = _WIDTH * self._done // max(1, self._total)
        rate = self._bytes / elapsed / 1e6
        sys.stderr.write(
            f"\r\x1b[K{self._what} [{'#' * filled:{_WIDTH}}] {self._done}/{self._total} "
            f"objects, {self._bytes / 1e6:.0f} MB, {rate:.0f} MB/s"
        )
        sys.stderr.flush()
