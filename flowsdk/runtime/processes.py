"""Tasks as forked processes: their output as it comes, their results when they end.

Whoever forks a task also commits its result, after its log is complete: a task that is killed, runs
out of memory or hangs thus still ends with a result that says so, and no result is there before
everything else of its attempt is. Where the step has ``@catch``, another fork says what becomes of a
task whose process has died.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from flowsdk.datastore import FlowDatastore
from flowsdk.exception import DatastoreError, TimeoutException, UsageError
from flowsdk.runtime.child import NO_RESULT, OWN_SIGNALS, Target, be_child
from flowsdk.runtime.errors import describe
from flowsdk.runtime.interrupt import StopReason
from flowsdk.runtime.logs import LineBuffer, LogLine, LogWriter
from flowsdk.runtime.memory import oom_kills
from flowsdk.runtime.redaction import Redactor
from flowsdk.runtime.task import failed_result, utc_now
from flowsdk.spec import ErrorInfo, TaskRef, TaskResult, TaskSpec

#: How long after its time, or after SIGTERM, a task that does not react is killed.
GRACE_SECONDS = 10.0
_READ = 256 * 1024
#: How long output is awaited that a task's own background processes may still hold back.
_DRAIN_SECONDS = 0.2
#: How long the exit of a task is awaited that has closed its pipes.
_EXIT_SECONDS = 0.05

#: Why a task was stopped, if that is its own time limit.
_TIMEOUT = "timeout"

#: What a signal that ends a task most often means.
_HINTS = {
    signal.SIGKILL: " It may have run out of memory.",
    signal.SIGSEGV: " That is a segmentation fault: compiled code used memory that is not its own.",
}

OnLines = Callable[[TaskSpec, list[LogLine]], None]


_TWO_RESULTS = ErrorInfo(
    "user",
    "flowsdk.Forked",
    "The step forked its process with os.fork() and both processes came to its end. End the child "
    "with os._exit(), or use multiprocessing or subprocess.",
)

_OUT_OF_MEMORY = ErrorInfo(
    "user",
    "flowsdk.OutOfMemory",
    "The task's process was killed because the memory of its container ran out. Ask for more with "
    "@resources(memory=…), or let retries do so with @retry(on_oom=1.5).",
)


class TaskProcesses:
    """The tasks that are running as children of this process.

    How it works:
        Single-threaded, so that forking is safe: call :meth:`poll` in a loop.

    Args:
        on_lines: Called with every line that a task prints.
        started_anew: Whether somebody starts this process again if its host is lost. Then a task
            that is interrupted gets no result, so that the next process can run it.
        max_log_bytes: How much of what a task prints is kept; None for everything.
    """

    def __init__(
        self, on_lines: OnLines, started_anew: bool = False, max_log_bytes: int | None = None
    ) -> None:
        self._on_lines = on_lines
        self._max_log_bytes = max_log_bytes
        self._started_anew = started_anew
        self._selector = selectors.DefaultSelector()
        self._running: list[_Child] = []

    def __len__(self) -> int:
        return len(self._running)

    def start(
        self, spec: TaskSpec, store: FlowDatastore, target: Target, first_chunk: int = 0
    ) -> int:
        """Fork a task. Returns its process id.

        Args:
            spec: What it runs; if the attempt before was lost, only what ``@catch`` does about it.
            store: Where its log and its result go.
            target: Runs in the child; must not use connections made before the fork.
            first_chunk: Number of the first chunk of its log.

        Raises:
            UsageError: The system allows no more processes or files.
        """
        log = LogWriter(store, spec.run, spec.ref, first_chunk, self._max_log_bytes)
        return self._fork(_Task(spec, store, target, log, utc_now()), spec.lost).pid

    def _fork(self, task: _Task, lost: ErrorInfo | None = None) -> _Child:
        child = _Child(task, lost, [other.fds for other in self._running])
        for fd in child.fds:
            self._selector.register(fd, selectors.EVENT_READ, child)
        self._running.append(child)
        return child

    def poll(self, timeout: float) -> list[TaskResult]:
        """Wait up to ``timeout`` seconds for news; the results of the tasks that have ended.

        Each is stored when this returns.
        """
        for key, _ in self._selector.select(timeout if self._running else 0):
            self._read(key.data, key.fd)
        ended = []
        for child in list(self._running):
            child.task.log.flush_if_due()
            child.enforce_limits()
            if child.has_ended() and (result := self._finish(child)) is not None:
                ended.append(result)
        return ended

    def stop(self, reason: str, tasks: Collection[TaskRef] | None = None) -> None:
        """Ask tasks to end (SIGTERM); those that do not are killed after ``GRACE_SECONDS``.

        Args:
            reason: Why.
            tasks: Only these; None for all.
        """
        for child in self._running:
            if tasks is None or child.spec.ref in tasks:
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
        if kept := child.task.log.add(lines):
            self._on_lines(child.task.spec, kept)

    def _finish(self, child: _Child) -> TaskResult | None:
        """Commit the result of a child that is gone; None if another process takes its place."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while child.fds and time.monotonic() < deadline:
            ready = [key.fd for key, _ in self._selector.select(0.01) if key.data is child]
            for fd in ready:
                self._read(child, fd)
        for fd in list(child.fds):
            self._selector.unregister(fd)
            self._publish(child, child.close(fd))
        self._running.remove(child)
        result, task = child.result(), child.task
        if child.unsaid:
            self._publish(child, [LogLine(time.time_ns() // 1_000_000, "stderr", child.unsaid)])
        if child.can_be_caught:
            try:
                self._fork(task, result.error)
            except UsageError:
                pass  # no room for another process: then it is a failure
            else:
                return None
        task.log.close()
        if self._started_anew and result.error and result.error.kind == "interrupted":
            return result
        if not task.store.write_result(result):
            # Somebody else has committed this attempt: theirs is the result that everybody reads.
            return task.store.read_result(result.run, result.ref)
        return result


@dataclass(frozen=True)
class _Task:
    """What does not change when another process takes the place of one that has died."""

    spec: TaskSpec
    store: FlowDatastore
    target: Target
    log: LogWriter
    started_at: str


class _Child:
    def __init__(self, task: _Task, lost: ErrorInfo | None, others: list[dict[int, Any]]) -> None:
        self.task = task
        self.spec = spec = task.spec
        self.can_be_caught = False
        #: Why the process has gone, for the log: it could not tell any more.
        self.unsaid = ""
        self._lost = lost
        self._oom_kills = oom_kills()
        self._result = bytearray()
        self._redactor = Redactor()
        self._status: int | None = None
        self._kill_at: float | None = None
        self._stopped: str | None = None
        self._reason = StopReason()
        self._end_at = time.monotonic() + spec.timeout_seconds if spec.timeout_seconds else None
        pipes: dict[str, tuple[int, int]] = {}
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        # A signal that came before the child has handlers of its own would make it act as its parent.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, OWN_SIGNALS)
        try:
            for name in ("stdout", "stderr", "result"):
                pipes[name] = os.pipe()
            self.pid = os.fork()
            if self.pid == 0:
                open_fds = [fd for fds in others for fd in fds]
                be_child(
                    pipes, open_fds, task.target, lost, self._reason, parent, GRACE_SECONDS, mask
                )
        except OSError as error:
            for fd in (fd for pair in pipes.values() for fd in pair):
                os.close(fd)
            raise UsageError(
                f"Task {spec.pathspec} cannot be started beside {len(others)} others: {error}. Run "
                f"fewer at once with --max-workers, or raise the limit (ulimit -n, ulimit -u)."
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        with contextlib.suppress(OSError):  # the child does the same; whoever is first
            os.setpgid(self.pid, self.pid)
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
            self._receive(data)
            return [], not data
        self._learn_secrets()
        return self._redacted(buffer.feed(data)), not data

    def _receive(self, data: bytes) -> None:
        self._result += data
        self._redactor.take(self._result)

    def _learn_secrets(self) -> None:
        """Take what has come beside the output: a secret is told before it can be printed."""
        for fd in [fd for fd, buffer in self.fds.items() if buffer is None]:
            with contextlib.suppress(BlockingIOError):
                self._receive(os.read(fd, _READ))

    def _redacted(self, lines: list[LogLine]) -> list[LogLine]:
        return [line._replace(text=self._redactor.redact(line.text)) for line in lines]

    def close(self, fd: int) -> list[LogLine]:
        """Stop reading a pipe; what is left of an unfinished line."""
        buffer = self.fds.pop(fd)
        os.close(fd)
        if buffer is None:
            self._await_exit()
        return self._redacted(buffer.close()) if buffer else []

    def _await_exit(self) -> None:
        """The child closes its result's pipe when it exits: soon it is gone, or it never will be."""
        deadline = time.monotonic() + _EXIT_SECONDS
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(0.0005)

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
            self._end_at, self._stopped = None, _TIMEOUT
            self._signal(signal.SIGKILL)
        if self._kill_at is not None and now > self._kill_at:
            self._kill_at = None
            self._signal(signal.SIGKILL)

    def stop(self, reason: str) -> None:
        if self._stopped is None:
            self._stopped = reason
            self._reason.tell(reason)
            self._kill_at = time.monotonic() + GRACE_SECONDS
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # nothing is left of its process group

    def result(self) -> TaskResult:
        """What the child has handed over, else why it has not."""
        self._signal(signal.SIGKILL)  # whatever the task left behind in its process group
        why = _TWO_RESULTS
        if self._result and os.WIFEXITED(self._status or 0):
            try:
                result = TaskResult.from_json(bytes(self._result), self.spec.pathspec)
                return replace(result, started_at=self.task.started_at) if self._lost else result
            except DatastoreError:
                pass  # written twice, by a step that has forked: neither can be told to be the step's
        else:
            why = self._why_no_result()
            self.unsaid = why.message
        self.can_be_caught = (
            self.spec.catches
            and self._lost is None
            and self.spec.retry_count >= self.spec.max_retries
            and self._stopped in (None, _TIMEOUT)
        )
        return failed_result(self.spec, why, self.task.started_at)

    def _why_no_result(self) -> ErrorInfo:
        if self._stopped == _TIMEOUT:
            return describe(
                TimeoutException(
                    f"Step {self.spec.step!r} ran longer than its @timeout of "
                    f"{self.spec.timeout_seconds:g} seconds and had to be killed."
                )
            )
        status = self._status or 0
        if os.WIFSIGNALED(status):
            killer = signal.Signals(os.WTERMSIG(status))
            message = f"The task's process was killed by {killer.name}.{_HINTS.get(killer, '')}"
            if self._stopped:
                message = f"The task's process was stopped ({killer.name}): {self._stopped}."
                return ErrorInfo("interrupted", "flowsdk.Killed", message)
            if killer == signal.SIGKILL and oom_kills() > self._oom_kills:
                return _OUT_OF_MEMORY
            return ErrorInfo("user", "flowsdk.Killed", message)
        if os.WEXITSTATUS(status) == NO_RESULT:
            return ErrorInfo(
                "user",
                "flowsdk.Exited",
                "The task's process could not hand over its result; its log says why. A step must not "
                "close files that it has not opened, as os.closerange() does.",
            )
        return ErrorInfo(
            "user",
            "flowsdk.Exited",
            f"The task's process ended with exit code {os.WEXITSTATUS(status)} in the middle of the "
            f"step. Return from the step instead of calling os._exit.",
        )
