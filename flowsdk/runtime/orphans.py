"""Ending with the process that has started this one, also where that one is killed on the spot.

Only Linux tells a process that its parent is gone. Elsewhere such a process goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType
from typing import Any

#: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.1


def _find_prctl() -> Any:
    """The function of the C library, or None where there is none."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        return ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):  # a Python or a C library without it
        return None


#: Looked for before any fork, so that tasks need not.
_prctl = _find_prctl()


def end_with(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Have this process sent a signal when its parent ends.

    The kernel sends it when the thread ends that has started this process: that has to be one that
    stays, as the main thread does.

    Args:
        parent: Process id of the parent, which may be gone already.
        number: The signal.
    """
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it has ended before the kernel was asked
        os.kill(os.getpid(), number)


def end_task_with(parent: int, grace_seconds: float) -> None:
    """End this process, which runs a task and leads a process group, when its parent ends.

    Nobody reads the task's output then, takes its result or limits its time. It is stopped as its
    parent would stop it: SIGTERM, so that the step can put things in order, and later SIGKILL for
    all that is left of its group.

    Args:
        parent: Process id of the parent, which has just forked this process.
        grace_seconds: How long the step may take to end.
    """
    task = os.getpid()

    def on_hangup(_: int, __: FrameType | None) -> None:
        if os.getpid() == task and os.getppid() != parent:
            _kill_group_later(task, grace_seconds)
            os.kill(task, signal.SIGTERM)
        else:  # somebody else has sent it, perhaps to what the step has forked
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGHUP)

    # Not SIGTERM itself: what that does changes while the task runs.
    signal.signal(signal.SIGHUP, on_hangup)
    end_with(parent, signal.SIGHUP)


def _kill_group_later(group: int, grace_seconds: float) -> None:
    """Leave that to a process outside the group: this one may be busy, or not want to end."""
    try:
        if os.fork():
            return
    except OSError:  # no room for another process, so no grace
        os.killpg(group, signal.SIGKILL)
    try:
        os.setpgid(0, 0)
        deadline = time.monotonic() + grace_seconds
        while time.monotonic() < deadline:
            os.killpg(group, 0)  # raises when nothing is left of it
            time.sleep(_LOOK_SECONDS)
        os.killpg(group, signal.SIGKILL)
    finally:
        os._exit(0)
