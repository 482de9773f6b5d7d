"""Exceptions of user code as text that shows the user's own frames."""

from __future__ import annotations

import traceback
from pathlib import Path

from flowsdk.exception import FlowException
from flowsdk.spec import ErrorInfo

_OWN_CODE = str(Path(__file__).parents[1])


def describe(error: BaseException) -> ErrorInfo:
    """What is stored of an exception that ended a task."""
    kind = error.kind if isinstance(error, FlowException) else "user"
    own_type = type(error)
    return ErrorInfo(
        kind=kind,
        type=f"{own_type.__module__}.{own_type.__qualname__}",
        message=str(error),
        traceback=user_traceback(error),
    )


def user_traceback(error: BaseException) -> str:
    """The formatted traceback without frames of flowsdk, unless there are no others."""
    report = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    _strip(report, seen)
    return "".join(report.format())


def _strip(report: traceback.TracebackException | None, seen: set[int]) -> None:
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    own = [frame for frame in report.stack if not frame.filename.startswith(_OWN_CODE)]
    if own:
        report.stack = traceback.StackSummary.from_list(own)
    _strip(report.__cause__, seen)
    _strip(report.__context__, seen)
