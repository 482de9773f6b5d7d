"""Secrets are kept out of what a task leaves behind: its log and the description of its error.

The task's process knows the values. It tells them to the process that forked it, which reads all
that the task and its own children print, and stores it; and it replaces them itself in errors.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence

#: In place of a secret.
MASK = "***"
#: A shorter text is not looked for: it would be found everywhere.
SHORTEST = 4
#: Begins the lines that tell secrets, in the pipe through which the result comes, which is JSON.
PREFIX = b"hide "


class Redactor:
    """Replaces secrets in texts."""

    def __init__(self) -> None:
        #: What is replaced, the longest first: a secret may be a part of another.
        self.values: list[str] = []

    def learn(self, values: Iterable[str]) -> None:
        """Replace these from now on, in whole and, since logs are lines, line by line."""
        known = {*self.values, *(form for value in values for form in _forms(value))}
        self.values = sorted(known, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """The text without secrets."""
        for value in self.values:
            if value in text:
                text = text.replace(value, MASK)
        return text

    def take(self, received: bytearray) -> None:
        """Learn what the beginning of a pipe's content tells, and remove that from it."""
        while received.startswith(PREFIX) and (end := received.find(b"\n")) >= 0:
            self.learn(json.loads(received[len(PREFIX) : end]))
            del received[: end + 1]


_own = Redactor()
_channel: int | None = None


def tell_through(fd: int) -> None:
    """Have secrets told to whoever reads the other end of a pipe, also those known already."""
    global _channel  # noqa: PLW0603  # of the process
    _channel = fd
    _tell(_own.values)


def hide(values: Iterable[str]) -> None:
    """Keep secrets out of the log and the errors of this process's task."""
    secret = list(values)
    _own.learn(secret)
    _tell(secret)


def _tell(values: Sequence[str]) -> None:
    if _channel is None or not values:
        return
    message = memoryview(PREFIX + json.dumps(values).encode() + b"\n")
    while message:
        message = message[os.write(_channel, message) :]


def redact(text: str) -> str:
    """A text without the secrets that this process has been told to hide."""
    return _own.redact(text)


def _forms(value: str) -> set[str]:
    """The ways in which a value is printed: by itself, in parts, and in what Python and JSON quote."""
    whole = {value, repr(value)[1:-1], json.dumps(value)[1:-1]}
    return {form for form in {*whole, *value.splitlines()} if len(form.strip()) >= SHORTEST}
