"""A small process that runs commands for its parent and lets none of them outlive it.

It is started by :mod:`airflow_flowprovider.local.processes` as a plain script, imports nothing but
the standard library, and is single-threaded, so that it may fork at any time.

    parent ══ channel ══ guardian ── keeper ── command ── whatever the command starts
                                  └─ keeper ── command …

How it works: every command gets a *keeper*, a process that is to it what PID 1 is to a container.
The keeper is a child subreaper, so descendants that detach (double fork, ``setsid``) are re-parented
to it and not to the system's init. It passes SIGTERM and the like on to the command alone, and when
the command ends it kills all that is left below it. When the parent dies, however abruptly, the
kernel closes the channel: the guardian then kills everything below itself and leaves. When the
guardian itself is killed, the parent-death signal makes each keeper do the same.

Known limitation: subreapers and parent-death signals exist on Linux only. Elsewhere a descendant
that has detached from its parents escapes.

The channel carries JSON lines, and with each ``run`` line one file descriptor for the command's
output:

    parent → guardian   {"run": key, "argv": [...], "env": {...}, "cwd": "..."}
                        {"signal": number, "to": key}
    guardian → parent   {"key": key, "pid": keeper's pid}
                        {"key": key, "exit": code}
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

#: Sent to a keeper: kill the command and all its descendants now.
KILL_ALL = signal.SIGUSR1
#: Passed on by a keeper to the command itself, as ``docker stop`` does.
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>
_LINUX = sys.platform == "linux"


def descendants(pid: int) -> list[int]:
    """Process ids of all living descendants of ``pid``, parents before children."""
    children = _children_from_proc if _LINUX else _children_from_ps()
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children(queue.pop(0))
        found += below
        queue += below
    return found


def _children_from_proc(pid: int) -> list[int]:
    below: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            below += map(int, (thread / "children").read_text().split())
    except OSError:  # it has just ended
        pass
    return below


def _children_from_ps() -> Callable[[int], list[int]]:
    with subprocess.Popen(["ps", "-axo", "pid=,ppid="], stdout=subprocess.PIPE, text=True) as ps:
        listing = ps.communicate()[0]
    table: dict[int, list[int]] = {}
    for line in listing.splitlines():
        pid, parent = map(int, line.split())
        if pid != ps.pid:
            table.setdefault(parent, []).append(pid)
    return lambda pid: table.get(pid, [])


def exit_code(status: int) -> int:
    """The code a container engine reports for a wait status: 128 + signal for a killed process."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _prctl(option: int, value: int) -> None:
    if _LINUX:
        import ctypes

        ctypes.CDLL(None).prctl(option, int(value), 0, 0, 0)


def _reap() -> dict[int, int]:
    """Wait statuses of all children that have ended."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended[pid] = status


def _kill_descendants() -> dict[int, int]:
    """Kill all below this process until nothing is left; returns the wait statuses seen."""
    ended = _reap()
    while below := descendants(os.getpid()):
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.002)  # a killed process needs a moment; a fork in flight shows up again
        ended |= _reap()
    return ended


def _execute(argv: Sequence[str], env: Mapping[str, str], cwd: str, output: int) -> NoReturn:
    """Become the command (in a forked child)."""
    try:
        os.setsid()  # a group of its own: `kill 0` in the command does not reach the keeper
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # what Python ignores would stay ignored
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.chdir(cwd)
        os.execve(argv[0], list(argv), env)  # noqa: S606 - arguments as a list, no shell
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
    os._exit(126)  # as a shell reports a command that cannot be executed


def _keep(request: Mapping[str, Any], output: int, guardian: int) -> NoReturn:
    """Run one command and sweep up after it (in a forked child); never returns."""
    os.setsid()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_PDEATHSIG, KILL_ALL)
    if os.getppid() != guardian:  # it died before the line above took effect
        os._exit(137)
    command = os.fork()
    if command == 0:
        _execute(request["argv"], request["env"], request["cwd"], output)
    os.close(output)
    ended: dict[int, int] = {}
    while command not in ended:
        received = signal.sigwait([signal.SIGCHLD, KILL_ALL, *_FORWARDED])
        if received == KILL_ALL:
            ended |= _kill_descendants()
        elif received in _FORWARDED:
            os.kill(command, received)
        ended |= _reap()
    _kill_descendants()
    os._exit(exit_code(ended[command]))


class Guardian:
    """The event loop on the guardian's side of the channel."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._keepers: dict[int, str] = {}
        self._pending = b""
        self._outputs: list[int] = []
        self._stopping = False

    def serve(self) -> None:
        """Run commands until the parent closes the channel, or dies."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            while not self._stopping:
                for ready, _ in selector.select():
                    if ready.fileobj is self._channel:
                        self._read()
                    else:
                        _drain(wake_read)
                self._collect()
        _kill_descendants()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _read(self) -> None:
        try:
            data, outputs, _, _ = socket.recv_fds(self._channel, 1 << 16, 16)
        except ConnectionError:
            data, outputs = b"", []
        for output in outputs:
            os.set_inheritable(output, False)
        self._outputs += outputs
        self._stopping |= not data
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, request: dict[str, Any]) -> None:
        if "run" in request:
            self._run(request, self._outputs.pop(0))
            return
        for pid, key in self._keepers.items():
            if key == request["to"]:
                os.kill(pid, request["signal"])  # a child not yet reaped: the pid is still its own

    def _run(self, request: dict[str, Any], output: int) -> None:
        guardian = os.getpid()
        # Blocked across the fork: the keeper waits for signals synchronously from its first moment.
        everything = [signal.SIGCHLD, KILL_ALL, *_FORWARDED]
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, everything)
        try:
            keeper = os.fork()
            if keeper == 0:
                try:
                    self._channel.close()
                    _keep(request, output, guardian)
                finally:
                    os._exit(125)  # reached only by an error in the keeper itself
        except OSError as error:  # no more processes
            sys.stderr.write(f"cannot fork for {request['argv'][0]}: {error}\n")
            sys.stderr.flush()
            self._tell({"key": request["run"], "exit": 125})
            return
        finally:
            os.close(output)
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        self._keepers[keeper] = request["run"]
        self._tell({"key": request["run"], "pid": keeper})

    def _collect(self) -> None:
        """Report keepers that have ended, and kill what a murdered keeper has left to us."""
        for pid, status in _reap().items():
            key = self._keepers.pop(pid, None)
            if key is not None:
                self._tell({"key": key, "exit": exit_code(status)})
        if _LINUX:
            for pid in set(_children_from_proc(os.getpid())) - set(self._keepers):
                os.kill(pid, signal.SIGKILL)

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._channel.sendall(json.dumps(message).encode() + b"\n")
        except OSError:  # the parent has gone
            self._stopping = True


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except BlockingIOError:
        pass


if __name__ == "__main__":
    Guardian(socket.socket(fileno=int(sys.argv[1]))).serve()
