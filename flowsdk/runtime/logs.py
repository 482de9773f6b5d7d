"""A task's log: lines as they come, in chunks that can be read while the task runs.

A chunk is lines of JSON, each ``[epoch milliseconds, "stdout" | "stderr", "text"]``.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from flowsdk.datastore import FlowDatastore
from flowsdk.exception import DatastoreError
from flowsdk.spec import TaskRef

#: A line longer than this is stored in pieces: whoever prints a number of MB on one line must not
#: be able to fill the memory of whoever reads it.
_LINE_LIMIT = 64 * 1024


class LogLine(NamedTuple):
    """One line that a task printed.

    Attributes:
        time_ms: When it was read from the task, milliseconds since 1970.
        stream: ``stdout`` or ``stderr``.
        text: The line without its end.
    """

    time_ms: int
    stream: str
    text: str


def parse_chunk(data: bytes) -> list[LogLine]:
    """The lines of a chunk."""
    return [LogLine(*json.loads(line)) for line in data.splitlines()]


def make_chunk(lines: Iterable[LogLine]) -> bytes:
    """The inverse of :func:`parse_chunk`."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class LineBuffer:
    """Turns what comes from a pipe into whole lines."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._rest = b""

    def feed(self, data: bytes) -> list[LogLine]:
        """The lines that ``data`` completes."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > _LINE_LIMIT:
            whole.append(self._rest[:_LINE_LIMIT])
            self._rest = self._rest[_LINE_LIMIT:]
        return [self._line(raw) for raw in whole]

    def close(self) -> list[LogLine]:
        """The last line if it has no end."""
        rest, self._rest = self._rest, b""
        return [self._line(rest)] if rest else []

    def _line(self, raw: bytes) -> LogLine:
        text = raw.rstrip(b"\r").decode("utf-8", "replace")
        return LogLine(time.time_ns() // 1_000_000, self._stream, text)


class LogWriter:
    """Stores an attempt's log in numbered chunks.

    A chunk is written at most once an interval, and the interval grows with the log's age: the first
    lines are seen at once, and a day-long task does not leave a hundred thousand objects.

    Args:
        store: The flow's datastore.
        run: Run id.
        ref: The attempt.
        first_chunk: Number of the first chunk; more than 0 where the attempt has a log already.
        max_bytes: How much is kept; what comes after that is dropped, with a note. None for no limit.
    """

    def __init__(
        self,
        store: FlowDatastore,
        run: str,
        ref: TaskRef,
        first_chunk: int = 0,
        max_bytes: int | None = None,
    ) -> None:
        self._store = store
        self._run = run
        self._ref = ref
        self._lines: list[LogLine] = []
        self._next_chunk = first_chunk
        self._max_bytes = self._room = max_bytes
        self._started = self._flushed = time.monotonic()

    def add(self, lines: Iterable[LogLine]) -> list[LogLine]:
        """Take lines; they are stored by the next :meth:`flush` that is due.

        Returns:
            The lines that are kept: all of them, unless the log has become too long.
        """
        kept = list(lines if self._room is None else self._while_there_is_room(lines))
        self._lines += kept
        return kept

    def _while_there_is_room(self, lines: Iterable[LogLine]) -> Iterator[LogLine]:
        note = f"[the rest of the log is left out: it is longer than {self._max_bytes} bytes]"
        for line in lines:
            if self._room is None or self._room < 0:
                return
            self._room -= len(line.text.encode("utf-8", "replace")) + 1
            yield line if self._room >= 0 else line._replace(text=note)

    def flush_if_due(self) -> None:
        """Store what has come, if enough time has passed since the last chunk.

        Where the datastore cannot be written just now, the lines are kept for the next time.
        """
        now = time.monotonic()
        interval = min(10.0, 0.5 + (now - self._started) / 60)
        if self._lines and now - self._flushed >= interval:
            self._flushed = now
            with contextlib.suppress(DatastoreError):
                self.flush()

    def close(self) -> None:
        """Store what is left. A log that cannot be stored must not cost the task its result."""
        try:
            self.flush()
        except DatastoreError as error:
            sys.stderr.write(f"The end of the log of {self._ref} is lost: {error}\n")

    def flush(self) -> None:
        """Store what has come.

        Raises:
            DatastoreError: It cannot be stored.
        """
        if not self._lines:
            return
        data = make_chunk(self._lines)
        self._store.write_log_chunk(self._run, self._ref, self._next_chunk, data)
        self._lines = []
        self._next_chunk += 1
        self._flushed = time.monotonic()
