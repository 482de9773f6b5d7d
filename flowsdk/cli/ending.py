"""How a command line ends: its exit code, and what it says when something went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from flowsdk.exception import FlowException, UsageError


def exit_code(command: Callable[[], int]) -> int:
    """Carry out a command.

    Args:
        command: Returns its own exit code.

    Returns:
        0 if all went well, 1 if the flow or the command failed, 2 if the command line is wrong,
        130 after Ctrl-C.
    """
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
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _exit_code(end: SystemExit) -> int:
    """As Python itself takes what ``sys.exit`` was given; argparse has printed why by then."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stdout.flush()
    sys.stderr.write(f"{end.code}\n")
    return 1


def _report(error: FlowException) -> None:
    sys.stdout.flush()
    text = str(error).replace("\n", "\n    ")
    sys.stderr.write(f"{error.headline}:\n    {text}\n")
