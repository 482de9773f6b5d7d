"""A flow file's command as a process: its output, its end, and the file in which it says what it did."""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from flowsdk.exception import CommandFailed, UsageError

T = TypeVar("T")

#: The scheduler of a run gives its tasks ten seconds to end; a little more for itself.
GRACE_SECONDS = 15.0
#: How often output and exit are looked for, in seconds.
POLL_SECONDS = 0.03
_STREAMS = ("stdout", "stderr")
#: So much of what a process printed goes into the message that it failed.
_SHOWN_LINES = 30


class FlowProcess:
    """One command of a flow file, running or ended.

    How it works:
        The process leads a session, so that a Ctrl-C in the terminal reaches only whoever started
        it, and its output goes to files: no pipe can fill up, no thread has to read, and what has
        been printed can be read at any time. All waiting is polling, which works alike in scripts,
        in an event loop and in notebooks, where one is running already.

    Args:
        argv: The words of the command.
        folder: Where its output and its attribute file go; must exist.
        env: Its environment.
        cwd: Its working directory.
    """

    def __init__(
        self, argv: Sequence[str], folder: Path, env: Mapping[str, str], cwd: Path
    ) -> None:
        self.attribute_file = folder / "attributes.json"
        self.timed_out = False
        self._logs = {stream: folder / f"{stream}.log" for stream in _STREAMS}
        self._kept: dict[str, str] | None = None
        with self._logs["stdout"].open("wb") as out, self._logs["stderr"].open("wb") as err:
            self.popen: subprocess.Popen[bytes] = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def returncode(self) -> int | None:
        """As of ``subprocess.Popen``; None while it runs."""
        return self.popen.poll()

    def output(self, stream: str) -> str:
        """All that it has printed so far.

        Args:
            stream: ``stdout`` or ``stderr``.
        """
        path = self._log(stream)
        if self._kept is not None:
            return self._kept[stream]
        return path.read_bytes().decode("utf-8", "replace")

    def wait_for_attributes(self, timeout: float, echo: Echo | None = None) -> dict[str, Any]:
        """What the command says of what it has started.

        Args:
            timeout: In seconds.
            echo: Shows the output meanwhile.

        Raises:
            CommandFailed: It ended, or the time did, before it said so.
        """
        return driven(self._attributes(timeout, echo))

    async def wait_for_attributes_async(self, timeout: float) -> dict[str, Any]:
        """As :meth:`wait_for_attributes`."""
        return await driven_async(self._attributes(timeout, None))

    def wait(self, echo: Echo | None = None) -> int:
        """Wait for its end. Returns its exit code."""
        driven(self._end(None, echo))
        return self.popen.wait()

    async def wait_async(self, timeout: float | None, echo: Echo | None) -> None:
        """Wait for its end, and end it when the time is over."""
        if not await driven_async(self._end(timeout, echo)):
            self.timed_out = True
            await self.stop_async()

    async def lines(self, stream: str, position: int) -> AsyncIterator[tuple[int, str]]:
        """The lines printed, as they come, until it has ended.

        Args:
            stream: ``stdout`` or ``stderr``.
            position: Where in the log to begin, in bytes.

        Yields:
            The position after the line, and the line without its end.
        """
        with self._log(stream).open("rb") as file:
            file.seek(position)
            rest = b""
            while True:
                ended = self.returncode is not None
                rest += file.read()
                *whole, rest = rest.split(b"\n")
                if ended and rest:
                    whole, rest = [*whole, rest], b""
                for line in whole:
                    position = min(position + len(line) + 1, file.tell())
                    yield position, line.decode("utf-8", "replace")
                if ended:
                    return
                await asyncio.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End it and all that it has started: SIGTERM, later SIGKILL."""
        stop(self.popen)

    async def stop_async(self) -> None:
        """As :meth:`stop`, without holding up the event loop."""
        await asyncio.to_thread(stop, self.popen)

    def keep_output(self) -> None:
        """Hold what it has printed in memory: its files are about to go."""
        if self._kept is None:
            self._kept = {stream: self.output(stream) for stream in _STREAMS}

    def failure(self, what: str) -> CommandFailed:
        """An error with the last lines of what it printed."""
        printed = (self.output("stderr").strip() or self.output("stdout").strip()).splitlines()
        shown = "\n".join(printed[-_SHOWN_LINES:])
        return CommandFailed(f"{what}:\n{shown}", self.returncode)

    def echo(self) -> Echo:
        """What shows its output on the streams of this process."""
        return Echo({stream: path.open("rb") for stream, path in self._logs.items()})

    def _log(self, stream: str) -> Path:
        if stream not in self._logs:
            raise UsageError(f"Stream: found {stream!r}, expected 'stdout' or 'stderr'.")
        return self._logs[stream]

    def _attributes(
        self, timeout: float, echo: Echo | None
    ) -> Generator[float, None, dict[str, Any]]:
        deadline = time.monotonic() + timeout
        while True:
            ended = self.returncode is not None
            if echo:
                echo.show()
            if (found := self._read_attributes()) is not None:
                return found
            if ended:
                raise self.failure(f"The command ended with exit code {self.returncode}")
            if time.monotonic() > deadline:
                self.stop()
                raise self.failure(f"The command had started nothing after {timeout:g} seconds")
            yield POLL_SECONDS

    def _read_attributes(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self.attribute_file.read_bytes())
        except (FileNotFoundError, ValueError):  # not there, or not yet whole
            return None
        return found

    def _end(self, timeout: float | None, echo: Echo | None) -> Generator[float, None, bool]:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            ended = self.returncode is not None
            if echo:
                echo.show()
            if ended:
                return True
            if deadline is not None and time.monotonic() > deadline:
                return False
            yield POLL_SECONDS


class Echo:
    """Shows on the streams of this process what another one prints into files.

    Args:
        files: By stream. Only those given are shown.
    """

    def __init__(self, files: Mapping[str, IO[bytes]]) -> None:
        self._files = files
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {stream: make("replace") for stream in files}

    def only(self, stream: str) -> Echo:
        """One that shows a single stream."""
        for name, file in self._files.items():
            if name != stream:
                file.close()
        return Echo({stream: self._files[stream]})

    def show(self) -> None:
        """Show what has come since the last call."""
        for stream, file in self._files.items():
            if text := self._decoders[stream].decode(file.read()):
                # Looked up each time: a notebook replaces these for each cell.
                target = getattr(sys, stream)
                target.write(text)
                target.flush()

    def __enter__(self) -> Echo:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and the group."""
    if process.poll() is None:
        _signal(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            _signal(process.pid, signal.SIGKILL)
            process.wait()


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # it has just ended by itself


def driven(steps: Generator[float, None, T]) -> T:
    """The result of a generator that yields how long to wait before it goes on."""
    while True:
        try:
            seconds = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        time.sleep(seconds)


async def driven_async(steps: Generator[float, None, T]) -> T:
    """As :func:`driven`, in an event loop."""
    while True:
        try:
            seconds = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(seconds)
