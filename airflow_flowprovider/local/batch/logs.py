"""The output of a container as CloudWatch log events: one per line."""

from __future__ import annotations

from typing import Protocol

from airflow_flowprovider.local.batch.model import now_ms

#: Longest event; CloudWatch takes 256 KiB with its own overhead in it.
MAX_EVENT_CHARACTERS = 250_000

LogEvent = tuple[int, str]
"""Time in ms since 1970, and the line."""


class LogStream(Protocol):
    """Where events go."""

    def put(self, events: list[LogEvent]) -> None:
        """Append events, which are in order of time."""


class LineLog:
    """Turns chunks of output into events, as Docker's awslogs driver does.

    Events are collected until :meth:`flush`; an unfinished line waits for its end until
    :meth:`close`. Empty lines are dropped: CloudWatch refuses empty events.
    """

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream
        self._tail = b""
        self._events: list[LogEvent] = []

    def feed(self, data: bytes) -> None:
        """Take a chunk of output."""
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            self._add(line)

    def flush(self) -> None:
        """Hand the complete lines over."""
        if self._events:
            self._stream.put(self._events)
            self._events = []

    def close(self) -> None:
        """Hand over everything."""
        self._add(self._tail)
        self._tail = b""
        self.flush()

    def _add(self, line: bytes) -> None:
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        now = now_ms()
        for start in range(0, len(text), MAX_EVENT_CHARACTERS):
            self._events.append((now, text[start : start + MAX_EVENT_CHARACTERS]))
