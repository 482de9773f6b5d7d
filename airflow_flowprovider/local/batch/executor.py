"""One attempt of a job as a real process: start, watch, stop, and what came of it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from airflow_flowprovider.local.batch.container import Container
from airflow_flowprovider.local.batch.logs import LineLog, LogStream
from airflow_flowprovider.local.batch.model import Attempt, StopRequest
from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.guardian import descendants
from airflow_flowprovider.local.processes import GuardedProcess, ProcessGuardian

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
TIMED_OUT = "Job attempt duration exceeded timeout"

_TICK_SECONDS = 0.05
_MEMORY_CHECK_SECONDS = 0.1
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Ending:
    """How an attempt ended."""

    exit_code: int | None = None
    reason: str | None = None
    """The container's reason, where there is one: it could not start, or ran out of memory."""
    started: bool = True


class CannotStartError(Exception):
    """The container could not be started; the message is the container's reason."""


class Executor(Protocol):
    """Runs attempts; implemented by :class:`ProcessExecutor`, and by fakes in tests."""

    def run(
        self,
        container: Container,
        environment: Mapping[str, str],
        attempt: Attempt,
        *,
        timeout: float | None,
        log: Callable[[], LogStream],
        on_running: Callable[[], None],
    ) -> Ending:
        """Run one attempt to its end, in the calling thread.

        Args:
            container: What to run.
            environment: Variables that Batch sets, on top of the container's.
            attempt: Watched for a request to stop.
            timeout: Seconds after which the attempt is stopped, by a request on ``attempt``.
            log: Opens the log stream; called once, when the container has started.
            on_running: Called once, when the container has started.
        """


class ProcessExecutor:
    """Runs a container's command as a process of this machine.

    Purpose:
        Jobs do what their command says, with the environment, memory limit, signals, exit codes
        and log lines they would have in a container.

    How it works:
        Each attempt gets a session, a home and a temporary folder of its own, and only the
        environment that Batch, its "image" and the job give it, never this server's. A guardian
        process keeps every process of the job from outliving the attempt or the server.

    What it does not do:
        Isolate: jobs see this machine's files and network, as they do each other. An image is a
        name for a PATH and variables (:attr:`Settings.images`); it has no files of its own and no
        default command.

    Known limitation:
        In a container, PID 1 ignores a SIGTERM that it does not handle, and is killed with exit
        code 137 later; here it ends at once with 143. Memory is limited on Linux only.
    """

    def __init__(
        self,
        guardian: ProcessGuardian,
        settings: Settings,
        host_environment: Mapping[str, str],
        folder: Path,
    ) -> None:
        self._guardian = guardian
        self._settings = settings
        self._host_environment = host_environment
        self._folder = folder

    def run(
        self,
        container: Container,
        environment: Mapping[str, str],
        attempt: Attempt,
        *,
        timeout: float | None,
        log: Callable[[], LogStream],
        on_running: Callable[[], None],
    ) -> Ending:
        """Run one attempt to its end; see :class:`Executor`."""
        if attempt.stopping.wait(self._settings.starting_seconds):
            return Ending(started=False)
        home = tempfile.mkdtemp(prefix=f"{attempt.number}-", dir=self._folder)
        try:
            variables = self._environment(container, environment, home)
            argv = _command(container, variables["PATH"])
            read_end, write_end = os.pipe()
            try:
                process = self._guardian.spawn(argv, env=variables, cwd=home, output=write_end)
            finally:
                os.close(write_end)
            with os.fdopen(read_end, "rb", buffering=0) as output:
                lines = LineLog(log())
                on_running()
                watch = _Watch(process, container, attempt, timeout, self._settings)
                watch.until_the_end(output.fileno(), lines)
            return watch.ending()
        except CannotStartError as error:
            return Ending(reason=str(error), started=False)
        except OSError as error:
            return Ending(reason=f"CannotStartContainerError: {error}", started=False)
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _environment(
        self, container: Container, environment: Mapping[str, str], home: str
    ) -> dict[str, str]:
        prefixes = [name for name in self._settings.images if container.image.startswith(name)]
        image = self._settings.images[max(prefixes, key=len)] if prefixes else {}
        if image is None:
            raise CannotStartError(
                "CannotPullContainerError: Error response from daemon: pull access denied for "
                f"{container.image}, repository does not exist or may require 'docker login'"
            )
        path = [*image.get("path", []), str(Path(sys.executable).parent), *_SYSTEM_PATH]
        return {
            "PATH": os.pathsep.join(path),
            "HOME": home,
            "TMPDIR": home,
            "LANG": "C.UTF-8",
            "HOSTNAME": "ip-10-0-0-1.ec2.internal",
            **self._host_environment,
            **image.get("env", {}),
            **container.environment,
            **environment,
        }


_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")


def _command(container: Container, path: str) -> list[str]:
    """The command with its program as an absolute path.

    Raises:
        CannotStartError: There is no such program, or no command.
    """
    if not container.command:
        raise CannotStartError(
            "CannotStartContainerError: no command specified (the images of the embedded AWS "
            "have none of their own)"
        )
    program = shutil.which(container.command[0], path=path)
    if program is None:
        raise CannotStartError(
            "CannotStartContainerError: Error response from daemon: failed to create task for "
            "container: failed to create shim task: OCI runtime create failed: runc create "
            "failed: unable to start container process: exec: "
            f'"{container.command[0]}": executable file not found in $PATH: unknown'
        )
    return [program, *container.command[1:]]


class _Watch:
    """Looks after one process: its output, its time, its memory, and requests to stop it."""

    def __init__(
        self,
        process: GuardedProcess,
        container: Container,
        attempt: Attempt,
        timeout: float | None,
        settings: Settings,
    ) -> None:
        self._process = process
        self._limit = container.resources.memory_mib * 2**20
        self._attempt = attempt
        self._settings = settings
        self._deadline = time.monotonic() + timeout if timeout else None
        self._kill_at: float | None = None
        self._next_memory_check = 0.0
        self._out_of_memory = False

    def until_the_end(self, output: int, lines: LineLog) -> None:
        """Pass the output on until the process, and with it all its descendants, is gone."""
        poller = select.poll()
        poller.register(output, select.POLLIN)
        flush_at = time.monotonic() + self._settings.log_flush_seconds
        at_end = False
        while not at_end or self._process.poll() is None:
            if at_end:  # it has closed its output, and still runs
                self._process.wait(_TICK_SECONDS)
            elif poller.poll(_TICK_SECONDS * 1000):
                data = os.read(output, 1 << 16)
                at_end = not data
                lines.feed(data)
            now = time.monotonic()
            if now >= flush_at:
                lines.flush()
                flush_at = now + self._settings.log_flush_seconds
            self._enforce(now)
        lines.close()

    def ending(self) -> Ending:
        """What came of it."""
        stop = self._attempt.stop
        if stop and stop.kind == "interrupt":
            return Ending()  # the host is gone, and with it whoever could tell an exit code
        if self._out_of_memory:
            return Ending(137, OUT_OF_MEMORY)
        return Ending(self._process.poll())

    def _enforce(self, now: float) -> None:
        if self._deadline and now > self._deadline:
            self._attempt.request_stop(StopRequest("timeout", TIMED_OUT))
        stop = self._attempt.stop
        if stop and self._kill_at is None:
            if stop.kind == "interrupt":
                self._kill_at = now
            else:
                self._process.signal(signal.SIGTERM)
                self._kill_at = now + self._settings.stop_grace_seconds
        if self._kill_at is not None and now >= self._kill_at:
            self._process.kill()
            self._kill_at = float("inf")  # once is enough
        if now >= self._next_memory_check and self._settings.enforce_memory:
            self._next_memory_check = now + _MEMORY_CHECK_SECONDS
            if _memory(self._process, self._limit) > self._limit:
                self._out_of_memory = True
                self._process.kill()


def _memory(process: GuardedProcess, limit: int) -> int:
    """Bytes in use by all processes of the container; exact only where that can exceed ``limit``."""
    if process.keeper_pid is None:
        return 0
    pids = descendants(process.keeper_pid)
    total = sum(_resident(pid) for pid in pids)
    if total <= limit:
        return total
    # Resident sizes count a page once for each process that shares it. The exact figure takes
    # milliseconds, so it is read only when the sum is suspicious.
    return sum(_proportional(pid) for pid in pids)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):  # it has just ended, or this is not Linux
        return 0


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
