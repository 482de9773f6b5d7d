"""``@catch``."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from flowsdk.decorators.base import StepDecorator
from flowsdk.exception import CaughtException, Interrupted

if TYPE_CHECKING:
    from flowsdk.decorators.running import RunningTask
    from flowsdk.spec import ErrorInfo


class Catch(StepDecorator):
    """Let a flow go on where a step has failed for the last time, after all of its ``@retry``.

    What the step had assigned until then is kept, and the next steps are those that the source says.
    The loss of the task's process is caught too: code that crashes the interpreter, takes too much
    memory or does not react to ``@timeout``. Nothing that the step had assigned is left then.

    Args:
        var: Name of the artifact that tells: None if the step went well, else a
            ``CaughtException`` with ``type``, ``exception`` and ``stacktrace``. By default the
            exception is not kept.
        print_exception: Show the exception in the step's log. Default True.
    """

    name = "catch"
    rank = -1
    defaults: ClassVar[Mapping[str, Any]] = {"var": None, "print_exception": True}

    def check(self) -> None:
        """``var`` must be the name of an artifact."""
        var = self.attributes["var"]
        if var is None:
            return
        if not isinstance(var, str) or not var.isidentifier() or keyword.iskeyword(var):
            raise self.error(f"var={var!r}, expected the name of an artifact.")
        if var.startswith("_"):
            raise self.error(f"var={var!r}, expected a name that does not begin with '_'.")

    def around(self, task: RunningTask) -> AbstractContextManager[Any]:
        """Catch in the last attempt only: before that a failure is for ``@retry``."""
        return self._catching(task)

    @contextmanager
    def _catching(self, task: RunningTask) -> Iterator[None]:
        try:
            yield
        except Interrupted:
            raise  # its host is going away: another one runs the step again
        except Exception as error:
            if task.spec.retry_count < task.spec.max_retries:
                raise
            info = _describe(task, error)
            task.caught = info
            if self.attributes["print_exception"]:
                _show(task, info)
            self._assign(task, CaughtException(info.type, info.message, info.traceback))
        else:
            self._assign(task, None)

    def _assign(self, task: RunningTask, value: CaughtException | None) -> None:
        if self.attributes["var"] is not None:
            setattr(task.flow, self.attributes["var"], value)


def _describe(task: RunningTask, error: Exception) -> ErrorInfo:
    if task.lost is not None:
        return task.lost
    from flowsdk.runtime.errors import describe

    return describe(error)


def _show(task: RunningTask, info: ErrorInfo) -> None:
    text = info.traceback or f"{info.type}: {info.message}"
    lines = "".join(f">  {line}\n" for line in text.splitlines())
    sys.stdout.write(f"@catch caught an exception of step {task.spec.step!r}:\n{lines}")
    sys.stdout.flush()


catch = Catch.decorate
