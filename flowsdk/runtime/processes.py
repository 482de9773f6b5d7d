"""Tasks as forked processes: their output as it comes, their results when they end.

Whoever forks a task also commits its result, after its log is complete: a task that is killed, runs
out of memory or hangs thus still ends with a result that says so, and no result is there before
everything else of its attempt is.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from flowsdk.datastore import FlowDatastore
from flowsdk.exception import TimeoutException
from flowsdk.runtime.errors import describe
from flowsdk.runtime.logs import LineBuffer, LogLine, LogWriter
from flowsdk.runtime.task import failed_result, utc_now
from flowsdk.spec import ErrorInfo, TaskResult, TaskSpec

#: How long after its time, or after SIGTERM, a task that does not react is killed.
GRACE_SECONDS = 10.0
_READ = 256 * 1024
#: How long output is awaited that a task's own background processes may still hold back.
_DRAIN_SECONDS = 0.2

#: Runs the task in the child and returns its result.
Target = Callable[[], TaskResult]
OnLines = Callable[[TaskSpec, list[LogLine]], None]


class TaskProcesses:
    """The tasks that are running as children of this process.

    How it works:
        Single-threaded, so that forking is safe: call :meth:`poll` in a loop.

    Args:
        on_lines: Called with every line that a task prints.
    """

    def __init__(self, on_lines: OnLines) -> None:
        self._on_lines = on_lines
        self._selector = selectors.DefaultSelector()
        self._running: list[_Child] = []

    def __len__(self) -> int:
        return len(self._running)

    def start(self, spec: TaskSpec, store: FlowDatastore, target: Target) -> int:
        """Fork a task. Returns its process id.

        Args:
            spec: What it runs.
            store: Where its log and its result go.
            target: Runs in the child; must not use connections made before the fork.
        """
        child = _Child(spec, store, target, [other.fds for other in self._running])
        for fd in child.fds:
            self._selector.register(fd, selectors.EVENT_READ, child)
        self._running.append(child)
        return child.pid

    def poll(self, timeout: float) -> list[TaskResult]:
        """Wait up to ``timeout`` seconds for news; the results of the tasks that have ended.

        Each is stored when this returns.
        """
        for key, _ in self._selector.select(timeout if self._running else 0):
            self._read(key.data, key.fd)
        ended = []
        for child in list(self._running):
            child.log.flush_if_due()
            child.enforce_limits()
            if child.has_ended():
                ended.append(self._finish(child))
        return ended

    def stop(self, reason: str) -> None:
        """Ask all tasks to end (SIGTERM); those that do not are killed after ``GRACE_SECONDS``."""
        for child in self._running:
            child.stop(reason)

    def _read(self, child: _Child, fd: int) -> None:
        lines, at_end = child.read(fd)
        if at_end:
            # Before it is closed: a task forked just now may still hold the pipe open, and then
            # closing alone would not take it out of the selector.
            self._selector.unregister(fd)
            lines += child.close(fd)
        self._publish(child, lines)

    def _publish(self, child: _Child, lines: list[LogLine]) -> None:
        if lines:
            child.log.add(lines)
            self._on_lines(child.spec, lines)

    def _finish(self, child: _Child) -> TaskResult:
        deadline = time.monotonic() + _DRAIN_SECONDS
        while child.fds and time.monotonic() < deadline:
            ready = [key.fd for key, _ in self._selector.select(0.01) if key.data is child]
            for fd in ready:
                self._read(child, fd)
        for fd in list(child.fds):
            self._selector.unregister(fd)
            self._publish(child, child.close(fd))
        self._running.remove(child)
        result = child.result()
        child.log.flush()
        child.store.write_result(result)
        return result


class _Child:
    def __init__(
        self, spec: TaskSpec, store: FlowDatastore, target: Target, others: list[dict[int, Any]]
    ) -> None:
        self.spec = spec
        self.store = store
        self.log = LogWriter(store, spec.run, spec.ref)
        self.started_at = utc_now()
        self._result = b""
        self._status: int | None = None
        self._kill_at: float | None = None
        self._stopped: str | None = None
        self._end_at = time.monotonic() + spec.timeout_seconds if spec.timeout_seconds else None
        pipes = {name: os.pipe() for name in ("stdout", "stderr", "result")}
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            for fds in others:
                for fd in fds:
                    os.close(fd)
            _be_child(pipes, target)
        self.fds: dict[int, LineBuffer | None] = {}
        for name, (reader, writer) in pipes.items():
            os.close(writer)
            os.set_blocking(reader, False)
            self.fds[reader] = None if name == "result" else LineBuffer(name)

    def read(self, fd: int) -> tuple[list[LogLine], bool]:
        """Lines that can be read now, and whether the pipe is at its end."""
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return [], False
        buffer = self.fds[fd]
        if buffer is None:
            self._result += data
            return [], not data
        return buffer.feed(data), not data

    def close(self, fd: int) -> list[LogLine]:
        """Stop reading a pipe; what is left of an unfinished line."""
        buffer = self.fds.pop(fd)
        os.close(fd)
        if buffer is None and self._status is None:
            # The child closes this pipe when it exits, so this does not block.
            _, self._status = os.waitpid(self.pid, 0)
        return buffer.close() if buffer else []

    def has_ended(self) -> bool:
        """Whether the process is gone. Its pipes may not be, if it left processes behind."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = status
        return self._status is not None

    def enforce_limits(self) -> None:
        now = time.monotonic()
        if self._end_at is not None and now > self._end_at + GRACE_SECONDS:
            self._end_at, self._stopped = None, "timeout"
            self._signal(signal.SIGKILL)
        if self._kill_at is not None and now > self._kill_at:
            self._kill_at = None
            self._signal(signal.SIGKILL)

    def stop(self, reason: str) -> None:
        if self._stopped is None:
            self._stopped = reason
            self._kill_at = time.monotonic() + GRACE_SECONDS
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def result(self) -> TaskResult:
        self._signal(signal.SIGKILL)  # whatever the task left behind in its process group
        if self._result:
            return TaskResult.from_json(self._result, self.spec.pathspec)
        return failed_result(self.spec, self._why_no_result(), self.started_at)

    def _why_no_result(self) -> ErrorInfo:
        if self._stopped == "timeout":
            return describe(
                TimeoutException(
                    f"Step {self.spec.step!r} ran longer than its @timeout of "
                    f"{self.spec.timeout_seconds:g} seconds and had to be killed."
                )
            )
        status = self._status or 0
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            name = signal.Signals(number).name
            hint = " It may have run out of memory." if number == signal.SIGKILL else ""
            message = f"The task's process was killed by {name}.{hint}"
            kind = "interrupted" if self._stopped else "user"
            return ErrorInfo(kind, "flowsdk.Killed", message)  # type: ignore[arg-type]
        return ErrorInfo(
            "user",
            "flowsdk.Exited",
            f"The task's process ended with exit code {os.WEXITSTATUS(status)} in the middle of the "
            f"step. Return from the step instead of calling os._exit.",
        )


def _text_stream(fd: int) -> TextIO:
    return os.fdopen(fd, "w", buffering=1, closefd=False, encoding="utf-8", errors="replace")


def _be_child(pipes: dict[str, tuple[int, int]], target: Target) -> None:
    """Run the task and leave the process; never returns."""
    code = 70
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(pipes["stdout"][1], 1)
        os.dup2(pipes["stderr"][1], 2)
        for name in ("stdout", "stderr"):
            for fd in pipes[name]:
                os.close(fd)
        os.close(pipes["result"][0])
        # New objects: the old ones may be wrapped by whoever imported us (a test runner, a notebook).
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # for the life of the process
        sys.stdout, sys.stderr = _text_stream(1), _text_stream(2)
        result = target()
        if result.error:
            text = result.error.traceback or f"{result.error.type}: {result.error.message}\n"
            sys.stderr.write(text)
        sys.stdout.flush()
        sys.stderr.flush()
        logging.shutdown()
        with os.fdopen(pipes["result"][1], "wb") as channel:
            channel.write(result.to_json())
        code = 0 if result.succeeded else 1
    finally:
        # Not sys.exit: exit handlers that the parent registered are the parent's to run.
        os._exit(code)
