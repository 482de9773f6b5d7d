"""How a command line ends: its exit code, and what it says when something went wrong."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable

from flowsdk.declaring import told
from flowsdk.exception import FlowException, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def exit_code(command: Callable[[], int]) -> int:
    """Carry out a command.

    Args:
        command: Returns its own exit code.

    Returns:
        0 if all went well, 1 if the flow or the command failed, 2 if the command line is wrong,
        130 after Ctrl-C.
    """
    _make_printable()
    try:
        code = command()
        sys.stdout.flush()
    except SystemExit as end:
        return _exit_code(end)
    except FlowException as error:
        _report(error)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        _print_no_more()
        return 1
    except OSError as error:
        if not (why := _explained(error)):
            raise
        _print_no_more()  # it may be what stdout leads to that is full
        sys.stderr.write(f"{why}\n")
        return 1
    return code


def _explained(error: OSError) -> str | None:
    """What is wrong with this machine, where that is the whole story; else None."""
    if error.errno in _FULL:
        return f"{error.strerror}: {error.filename or 'what is printed, or stored'}."
    if error.errno == errno.ENOENT and error.filename is None:  # as os.getcwd() raises it
        return "The current folder does not exist any more. Change to another one."
    return None


def _make_printable() -> None:
    """Let anything be printed: docstrings and logs hold any character, and streams may be closed.

    What is printed where the caller has closed stdout or stderr (``>&-``) vanishes. Otherwise the
    next file that is opened would have the number of stdout, and be given what tasks print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and number:
            stream.reconfigure(errors="backslashreplace")
        if stream is not None:
            continue
        free = os.open(os.devnull, os.O_RDWR)  # the lowest number there is, as a rule this one
        os.set_inheritable(free, free == number)
        setattr(sys, name, os.fdopen(free, "w" if number else "r", encoding="utf-8"))


def _print_no_more() -> None:
    """Keep Python from complaining, when it exits, of what it cannot print any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit_code(end: SystemExit) -> int:
    """As Python itself takes what ``sys.exit`` was given; argparse has printed why by then."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stdout.flush()
    sys.stderr.write(f"{end.code}\n")
    return 1


def _report(error: FlowException) -> None:
    sys.stdout.flush()
    sys.stderr.write(told(error))
