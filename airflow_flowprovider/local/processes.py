"""Start processes that cannot outlive this one, through a guardian process of our own.

This is the parent's side of :mod:`airflow_flowprovider.local.guardian`, which explains why there
is a process in between.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_flowprovider.local import guardian


class GuardedProcess:
    """A command that runs under a :class:`ProcessGuardian`."""

    def __init__(self, owner: ProcessGuardian, key: str) -> None:
        self._owner = owner
        self._key = key
        self._ended = threading.Event()
        self._code: int | None = None
        self.keeper_pid: int | None = None
        """Its keeper: all processes of the command are descendants of this one. None at first."""

    def poll(self) -> int | None:
        """The exit code (128 + n when killed by signal n), or None while it runs."""
        return self._code

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end of the command; the exit code, or None if ``timeout`` s were not enough."""
        self._ended.wait(timeout)
        return self._code

    def signal(self, number: int) -> None:
        """Send a signal to the command itself, not to its children."""
        self._owner.send({"signal": int(number), "to": self._key})

    def kill(self) -> None:
        """Kill the command and every descendant, detached or not."""
        self.signal(guardian.KILL_ALL)

    def stop(self, number: int, grace: float) -> int | None:
        """Send a signal, and kill all that is left after ``grace`` seconds.

        Returns:
            The exit code; None if the processes could not even be killed within the grace time.
        """
        self.signal(number)
        if self.wait(grace) is None:
            self.kill()
        return self.wait(grace)

    def _end(self, code: int) -> None:
        self._code = code
        self._ended.set()


class ProcessGuardian:
    """Runs commands so that none survives this process, not even ``kill -9`` of it.

    Usable as a context manager; leaving it kills all commands that still run. Safe to use from
    several threads.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # -I -S: nothing of the user's environment, and up in a few milliseconds.
                [sys.executable, "-I", "-S", guardian.__file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C at the terminal is for us alone
            )
        self._channel = ours
        self._lock = threading.Lock()
        self._running: dict[str, GuardedProcess] = {}
        self._count = 0
        self._reader = threading.Thread(target=self._listen, name="process-guardian", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The guardian's process id."""
        return self._process.pid

    def spawn(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str | Path, output: int
    ) -> GuardedProcess:
        """Start a command.

        Args:
            argv: Absolute path of the program, then its arguments.
            env: The complete environment of the command.
            cwd: Its working directory.
            output: File descriptor for both its output streams; still the caller's to close.

        Raises:
            OSError: The guardian has gone.
        """
        with self._lock:
            self._count += 1
            process = GuardedProcess(self, str(self._count))
            self._running[str(self._count)] = process
            request = {"run": str(self._count), "argv": list(argv), "env": dict(env)}
            self._write({**request, "cwd": str(cwd)}, [output])
        return process

    def send(self, message: dict[str, Any]) -> None:
        """Send a message to the guardian; one that has gone has already ended its commands."""
        try:
            with self._lock:
                self._write(message, [])
        except OSError:
            pass

    def close(self) -> None:
        """Kill all commands and end the guardian."""
        try:
            self._channel.shutdown(socket.SHUT_WR)
        except OSError:  # it has gone
            pass
        self._process.wait()
        self._reader.join()
        self._channel.close()

    def __enter__(self) -> ProcessGuardian:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, message: dict[str, Any], descriptors: list[int]) -> None:
        line = json.dumps(message).encode() + b"\n"
        if descriptors:
            sent = socket.send_fds(self._channel, [line], descriptors)
            line = line[sent:]
        self._channel.sendall(line)

    def _listen(self) -> None:
        pending = b""
        while data := self._receive():
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                self._note(json.loads(line))
        for process in list(self._running.values()):
            process._end(137)  # the guardian kills its commands before it goes

    def _receive(self) -> bytes:
        try:
            return self._channel.recv(1 << 16)
        except OSError:
            return b""

    def _note(self, event: dict[str, Any]) -> None:
        if "pid" in event:
            self._running[event["key"]].keeper_pid = event["pid"]
        else:
            self._running.pop(event["key"])._end(event["exit"])


def environment_without(*prefixes: str) -> dict[str, str]:
    """This process' environment, less the variables that begin with one of ``prefixes``."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
