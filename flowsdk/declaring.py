"""Telling authors what is wrong with a declaration – a decorator, a Parameter – in their flow file."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType, TracebackType

from flowsdk.exception import FlowException, did_you_mean

_FLOWSDK = str(Path(__file__).parent) + os.sep
#: What a flow file calls while it is imported.
_DECLARATIONS = tuple(
    _FLOWSDK + name
    for name in (f"configs{os.sep}", f"decorators{os.sep}", "include_file.py", f"parameters{os.sep}",
                 "steps.py")
)  # fmt: skip
#: Makes decorators anew from those that were declared.
_NOT_AT_DECLARATION = f"{_FLOWSDK}decorators{os.sep}prepare.py"


def declared_at() -> str:
    """``file:line`` of the author's code that declares what is being made; empty if none does.

    None does where flowsdk itself makes it, of ``--with`` for example.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_FLOWSDK):
            return f"{file}:{frame.f_lineno}"
        if not file.startswith(_DECLARATIONS) or file == _NOT_AT_DECLARATION:
            return ""
        frame = frame.f_back
    return ""


def unknown_argument(kind: type, given: Iterable[str]) -> str:
    """What is wrong with keyword arguments of a class; empty if it knows them all."""
    known = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        return ""
    names = list(known)[1:]
    found = next((name for name in given if name not in names), None)
    if found is None:
        return ""
    return f"found argument {found!r}, expected {', '.join(names)}.{did_you_mean(found, names)}"


def told(error: FlowException) -> str:
    """What a terminal shows of an error: its headline and, indented, its message."""
    text = str(error).replace("\n", "\n    ")
    return f"{error.headline}:\n    {text}\n"


def tell_without_traceback() -> None:
    """Have a wrong declaration in the file that Python runs be told by its message alone.

    The message names the line; a traceback would show how flowsdk found out. All other errors go
    where they went before. Python exits with 1 as ever.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, FlowException) and _is_by_the_script(trace):
            sys.stderr.write(told(error))
        else:
            before(kind, error, trace)

    sys.excepthook = hook


def _is_by_the_script(trace: TracebackType | None) -> bool:
    """Whether a declaration failed that the running script itself makes while it is executed."""
    frames = []
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    at = [i for i, one in enumerate(frames) if not one.f_code.co_filename.startswith(_FLOWSDK)]
    if not at or at[-1] + 1 == len(frames):
        return False
    called = frames[at[-1] + 1].f_code.co_filename
    script = vars(sys.modules["__main__"])
    return frames[at[-1]].f_globals is script and called.startswith(_DECLARATIONS)
