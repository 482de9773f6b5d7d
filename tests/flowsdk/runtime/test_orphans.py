from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest

from flowsdk.runtime.orphans import end_task_with, end_with


def ends_by(child: Callable[[], None]) -> int:
    """The signal that ends a forked process, or 0 if it comes to its end."""
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            child()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's end")
def test_a_parent_that_has_gone_before_the_kernel_was_asked_is_noticed() -> None:
    gone = 2**22 + 1  # above the highest process id there can be
    assert ends_by(lambda: end_with(gone)) == signal.SIGTERM
    assert ends_by(lambda: end_with(gone, signal.SIGKILL)) == signal.SIGKILL
    assert ends_by(lambda: end_task_with(gone, 0)) == signal.SIGTERM


def test_nothing_happens_while_the_parent_lives() -> None:
    parent = os.getpid()
    assert ends_by(lambda: end_with(parent)) == 0
    assert ends_by(lambda: end_task_with(parent, 0)) == 0


def test_a_hangup_from_elsewhere_does_what_it_always_does() -> None:
    parent = os.getpid()

    def hang_up() -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    def hung_up() -> None:
        end_task_with(parent, 0)
        hang_up()

    def with_a_child_that_is_hung_up() -> None:
        end_task_with(parent, 0)
        if ends_by(hang_up) == signal.SIGHUP:
            os.kill(os.getpid(), signal.SIGTERM)

    assert ends_by(hung_up) == signal.SIGHUP
    assert ends_by(with_a_child_that_is_hung_up) == signal.SIGTERM
