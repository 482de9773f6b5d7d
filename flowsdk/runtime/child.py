"""What happens in the forked process of a task, before and after the task itself."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn, TextIO

from flowsdk.runtime.interrupt import StopReason, stopped_for
from flowsdk.runtime.orphans import end_task_with
from flowsdk.runtime.redaction import tell_through
from flowsdk.spec import ErrorInfo, TaskResult

#: Runs the task and returns its result; what goes wrong in the task is in the result. Given the
#: reason why an earlier process of the attempt has died, it runs only what ``@catch`` does then.
Target = Callable[[ErrorInfo | None], TaskResult]
#: Exit code where the result could not be handed over.
NO_RESULT = 70
#: What the parent handles in ways of its own.
OWN_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
#: New containers after which Python looks at the young ones: up to 3.12, and later.
#: https://docs.python.org/3/library/gc.html#gc.set_threshold
_PYTHON_COLLECTS_AFTER = (700, 2000)
_COLLECT_AFTER = 10_000


def be_child(
    pipes: dict[str, tuple[int, int]],
    others: Iterable[int],
    target: Target,
    lost: ErrorInfo | None,
    reason: StopReason,
    parent: int,
    grace_seconds: float,
    mask: Iterable[int],
) -> NoReturn:
    """Run a task in this process, which has just been forked, and leave it.

    Args:
        pipes: ``stdout``, ``stderr`` and ``result``, each as (reading end, writing end).
        others: What the parent has open for its other children.
        target: The task.
        lost: What ``target`` is given.
        reason: Where the parent says why it stops this process.
        parent: Process id of the parent.
        grace_seconds: How long the task may take to end when the parent is gone.
        mask: The signals that were blocked before ``OWN_SIGNALS`` were.
    """
    code = NO_RESULT
    try:
        for fd in others:
            os.close(fd)
        stopped_for(reason)
        _become_a_process_of_its_own(pipes, mask)
        end_task_with(parent, grace_seconds)
        result = target(lost)
        with contextlib.suppress(Exception):  # the step may have closed or replaced its streams
            _show_error(result)
        _finish_user_code()
        with os.fdopen(pipes["result"][1], "wb") as channel:
            channel.write(result.to_json())
        code = 0 if result.succeeded else 1
    except BaseException:  # noqa: BLE001  # nobody above could tell of it
        with contextlib.suppress(Exception):
            traceback.print_exc()
    finally:
        # Not sys.exit: that would unwind into the code of the parent that called fork.
        os._exit(code)


def _become_a_process_of_its_own(pipes: dict[str, tuple[int, int]], mask: Iterable[int]) -> None:
    with contextlib.suppress(OSError):  # the parent does the same; whoever is first
        os.setpgid(0, 0)
    for number in OWN_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    # Exit handlers so far are the parent's, and for the parent to run.
    atexit._clear()
    if logging := sys.modules.get("logging"):  # which has registered this when it was loaded
        atexit.register(logging.shutdown)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(pipes["stdout"][1], 1)
    os.dup2(pipes["stderr"][1], 2)
    for name in ("stdout", "stderr"):
        for fd in pipes[name]:
            os.close(fd)
    os.close(pipes["result"][0])
    tell_through(pipes["result"][1])
    # New objects: the old ones may be wrapped by whoever imported us (a test runner, a notebook).
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # for the life of the process
    sys.stdout, sys.stderr = _text_stream(1), _text_stream(2)
    seed_afresh()
    _collect_less_often()
    # Where memory runs out Linux ends this process, and not the one that says so and lets @catch act.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def _collect_less_often() -> None:
    """Look for garbage in cycles less often than Python does, unless the flow has said how often.

    A step that makes millions of objects keeps most of them, and looking at them again and again would
    take as long as making them.
    """
    young, *older = gc.get_threshold()
    if young in _PYTHON_COLLECTS_AFTER:
        gc.set_threshold(_COLLECT_AFTER, *older)


def seed_afresh() -> None:
    """Give a forked process its own random numbers, as a process of its own would have.

    Python's ``random`` does this by itself after a fork.
    """
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()


def _show_error(result: TaskResult) -> None:
    if result.error:
        text = result.error.traceback or f"{result.error.type}: {result.error.message}\n"
        sys.stderr.write(text)


def _finish_user_code() -> None:
    """What an interpreter does at its end, so that what the step has left to do is done."""
    with contextlib.suppress(Exception):
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _text_stream(fd: int) -> TextIO:
    return os.fdopen(fd, "w", buffering=1, closefd=False, encoding="utf-8", errors="replace")
