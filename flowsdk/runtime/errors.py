"""Exceptions of user code as text that shows the user's own frames."""

from __future__ import annotations

import os
import site
import traceback
from pathlib import Path

from flowsdk.exception import FlowException
from flowsdk.runtime.redaction import redact
from flowsdk.spec import ErrorInfo

_OWN_CODE = str(Path(__file__).parents[1]) + os.sep
#: How the names of files begin that are not the user's.
_LIBRARIES = (_OWN_CODE, "<frozen ", str(Path(os.__file__).parent), *site.getsitepackages())
#: Of a message and of a traceback, in characters: a result must stay small whatever is raised.
_TEXT_LIMIT = 32 * 1024


def describe(error: BaseException) -> ErrorInfo:
    """What is stored of an exception that ended a task."""
    kind = error.kind if isinstance(error, FlowException) else "user"
    own_type = type(error)
    return ErrorInfo(
        kind=kind,
        type=f"{own_type.__module__}.{own_type.__qualname__}",
        message=_shortened(redact(_message(error))),
        traceback=_shortened(redact(user_traceback(error))),
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:  # noqa: BLE001  # a user's __str__ may raise anything
        return f"<str() of the exception raised {type(failure).__name__}>"


def _shortened(text: str) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= _TEXT_LIMIT:
        return text
    half = _TEXT_LIMIT // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def user_traceback(error: BaseException) -> str:
    """The formatted traceback without frames of flowsdk, unless there are no others.

    An error that flowsdk itself has found, with no line of the user in it, is told by its message
    alone; so is the whole if none of its causes has one.
    """
    report = traceback.TracebackException.from_exception(error)
    if isinstance(error, FlowException) and not _shows_user_code(report):
        return "".join(report.format_exception_only())
    _strip(report, error, set())
    return "".join(report.format())


def _shows_user_code(report: traceback.TracebackException) -> bool:
    if any(not frame.filename.startswith(_LIBRARIES) for frame in report.stack):
        return True
    before = report.__cause__ or (None if report.__suppress_context__ else report.__context__)
    return before is not None and _shows_user_code(before)


def _strip(
    report: traceback.TracebackException | None, error: BaseException | None, seen: set[int]
) -> None:
    if report is None or error is None or id(report) in seen:
        return
    seen.add(id(report))
    frames = [frame for frame in report.stack if not frame.filename.startswith(_OWN_CODE)]
    if frames:
        report.stack = traceback.StackSummary.from_list(_from_the_users(frames))
    elif isinstance(error, FlowException):
        report.stack = None  # type: ignore[assignment]  # what an exception without frames has
    _strip(report.__cause__, error.__cause__, seen)
    _strip(report.__context__, error.__context__, seen)


def _from_the_users(frames: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """Without the libraries through which flowsdk has called the user's code, if there is any."""
    users = (i for i, frame in enumerate(frames) if not frame.filename.startswith(_LIBRARIES))
    return frames[next(users, 0) :]
