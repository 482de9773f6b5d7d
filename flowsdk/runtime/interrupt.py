"""Stopping user code from outside: a timeout, or a host that is taken away."""

from __future__ import annotations

import mmap
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from flowsdk.exception import Interrupted, TimeoutException

#: Why a task is stopped whose parent says nothing else.
HOST_ENDS = "its host is being shut down or the job was terminated"
_BYTES = 1024


class StopReason:
    """Why a process stops one that it has forked: a signal itself cannot say it.

    It lies in memory that both share; the parent writes it before it sends the signal.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _BYTES)

    def tell(self, reason: str) -> None:
        """Let the child know; called in the parent."""
        data = reason.encode()[: _BYTES - 1]
        self._shared[: len(data) + 1] = data + b"\0"

    @property
    def text(self) -> str:
        """What the parent has told; empty if nothing."""
        return self._shared[:_BYTES].partition(b"\0")[0].decode(errors="ignore")


_reason: StopReason | None = None


def stopped_for(reason: StopReason) -> None:
    """Have this process, which has just been forked, say why it is stopped when it is."""
    global _reason  # noqa: PLW0603  # a process has one parent
    _reason = reason


@contextmanager
def interruptible(step: str, timeout_seconds: float | None) -> Iterator[None]:
    """Within, SIGTERM raises Interrupted and the timeout raises TimeoutException.

    Code that never returns to the interpreter cannot be stopped so; whoever started the process
    kills it some seconds after its time.

    Args:
        step: Name of the step, for the message.
        timeout_seconds: None means no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals
        return

    def on_term(_: int, __: FrameType | None) -> None:
        why = (_reason.text if _reason else "") or HOST_ENDS
        raise Interrupted(f"Step {step!r} was stopped (SIGTERM): {why}.")

    def on_alarm(_: int, __: FrameType | None) -> None:
        raise TimeoutException(
            f"Step {step!r} ran longer than its @timeout of {timeout_seconds:g} seconds."
        )

    before_term = signal.signal(signal.SIGTERM, on_term)
    before_alarm = signal.signal(signal.SIGALRM, on_alarm)
    if timeout_seconds:
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before_alarm)
        signal.signal(signal.SIGTERM, before_term)
