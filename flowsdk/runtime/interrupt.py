"""Stopping user code from outside: a timeout, or a host that is taken away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from flowsdk.exception import Interrupted, TimeoutException


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
        raise Interrupted(
            f"Step {step!r} was stopped by SIGTERM: its host is being shut down or the job was terminated."
        )

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
