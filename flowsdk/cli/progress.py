"""How a run is told while it happens: as plain lines, as JSON, or live in a terminal.

:func:`reporter` picks the one that fits. Task output goes to stdout, and so does what is said about
tasks; the error that ended a run goes to stderr, last.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, TextIO

from flowsdk.graph import FlowGraph
from flowsdk.local.scheduler import Listener
from flowsdk.runtime.logs import LogLine
from flowsdk.spec import RunSpec, TaskResult, TaskSpec

#: More failures than these at the end of a run say nothing new, and push the first off the screen.
_FAILURES_TOLD = 5


class Reporter(ABC):
    """Tells people or programs how a run goes; a context manager around the run.

    Args:
        out: Where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def listener(self) -> Listener:
        """What a scheduler reports to."""
        return Listener(started=self.started, ended=self.ended, reused=self.reused, tick=self.tick)

    @abstractmethod
    def begin(self, run: RunSpec, graph: FlowGraph | None = None) -> None:
        """The run is about to start; the graph, if all of it is to run."""

    @abstractmethod
    def say(self, text: str) -> None:
        """A remark about the run as a whole."""

    @abstractmethod
    def reused(self, run: str, results: Sequence[TaskResult]) -> None:
        """Tasks of ``run``, an earlier one, stand in for these."""

    @abstractmethod
    def started(self, spec: TaskSpec, name: str) -> None:
        """A task has been launched; ``name`` is what it is known by (``pid 123``)."""

    @abstractmethod
    def lines(self, spec: TaskSpec, lines: list[LogLine]) -> None:
        """A task has printed something."""

    @abstractmethod
    def ended(self, result: TaskResult, again_in: float | None) -> None:
        """An attempt has ended; it is tried again in so many seconds, or not (None)."""

    @abstractmethod
    def finish(self, succeeded: bool) -> None:
        """The run has ended."""

    def tick(self) -> None:
        """Called about twice a second, whether anything happens or not."""
        return

    def close(self) -> None:
        """Leave the terminal as it was found."""
        self._out.flush()


class PlainReporter(Reporter):
    """One line for each thing that happens, with its time and the task it is about.

    Args:
        out: Where to.
        quiet: Tell only what tasks print.
    """

    def __init__(self, out: TextIO, *, quiet: bool = False) -> None:
        super().__init__(out)
        self._quiet = quiet
        self._names: dict[tuple[str, str, str], str] = {}

    def begin(self, run: RunSpec, graph: FlowGraph | None = None) -> None:  # noqa: ARG002
        """Name the run."""
        self.say(f"Workflow starting (run-id {run.run}):")

    def say(self, text: str) -> None:
        """A line without a task."""
        self._tell(text)

    def reused(self, run: str, results: Sequence[TaskResult]) -> None:
        """Say how many."""
        count = len(results)
        self._tell(f"Using {count} task{'s' * (count != 1)} of run {run} again.")

    def started(self, spec: TaskSpec, name: str) -> None:
        """Note the task's name, and say that it starts."""
        self._names[spec.run, spec.step, spec.task] = name
        again = f" (attempt {spec.attempt + 1})" if spec.attempt else ""
        self._tell(f"Task is starting{again}.", self._task(spec))

    def lines(self, spec: TaskSpec, lines: list[LogLine]) -> None:
        """Every line, with the time at which the task printed it."""
        task = self._task(spec)
        stamped = (f"{self._stamp(line.time_ms / 1000)} {task}{line.text}\n" for line in lines)
        self._write("".join(stamped))

    def ended(self, result: TaskResult, again_in: float | None) -> None:
        """Say how an attempt has ended."""
        task = self._task(result)
        if result.splits:
            self._tell(f"Foreach yields {result.splits.count} child steps.", task)
        self._tell(_ending(result, again_in), task)

    def finish(self, succeeded: bool) -> None:
        """Say how the run has ended."""
        self._tell("Done!" if succeeded else "Workflow failed.")

    def _tell(self, text: str, task: str = "") -> None:
        if not self._quiet:
            self._write(f"{self._stamp()} {task}{text}\n")

    def _task(self, task: TaskSpec | TaskResult) -> str:
        name = self._names.get((task.run, task.step, task.task), "")
        return f"[{task.run}/{task.step}/{task.task}{f' ({name})' if name else ''}] "

    def _stamp(self, seconds: float | None = None) -> str:
        return f"{local_time(seconds):%Y-%m-%d %H:%M:%S.%f}"[:-3]

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class JsonReporter(Reporter):
    """One JSON object a line, for scripts.

    Every object has ``event`` and ``time`` (ISO 8601). The events: ``run_started`` (``flow, run_id``),
    ``tasks_reused`` (``run_id, tasks``), ``task_started`` (``step, task, attempt, name``), ``log``
    (``step, task, attempt, stream, text``), ``task_ended`` (``step, task, attempt, status, error,
    again_in, splits``), ``message`` (``text``) and ``run_ended`` (``status``).
    """

    def begin(self, run: RunSpec, graph: FlowGraph | None = None) -> None:  # noqa: ARG002
        """``run_started``."""
        self._tell("run_started", flow=run.flow, run_id=run.run)

    def say(self, text: str) -> None:
        """``message``."""
        self._tell("message", text=text)

    def reused(self, run: str, results: Sequence[TaskResult]) -> None:
        """``tasks_reused``."""
        tasks = [f"{result.step}/{result.task}" for result in results]
        self._tell("tasks_reused", run_id=run, tasks=tasks)

    def started(self, spec: TaskSpec, name: str) -> None:
        """``task_started``."""
        self._tell("task_started", **_place(spec), name=name)

    def lines(self, spec: TaskSpec, lines: list[LogLine]) -> None:
        """``log``, once for each line."""
        for line in lines:
            seconds = line.time_ms / 1000
            self._tell("log", seconds, **_place(spec), stream=line.stream, text=line.text)

    def ended(self, result: TaskResult, again_in: float | None) -> None:
        """``task_ended``."""
        error = result.error and {"type": result.error.type, "message": result.error.message,
                                  "traceback": result.error.traceback}  # fmt: skip
        splits = result.splits.count if result.splits else None
        self._tell("task_ended", **_place(result), status=result.status, error=error,
                   again_in=again_in, splits=splits)  # fmt: skip

    def finish(self, succeeded: bool) -> None:
        """``run_ended``."""
        self._tell("run_ended", status="succeeded" if succeeded else "failed")

    def _tell(self, event: str, seconds: float | None = None, **facts: Any) -> None:
        time = local_time(seconds).isoformat(timespec="milliseconds")
        self._out.write(f"{json.dumps({'event': event, 'time': time, **facts})}\n")
        self._out.flush()


def reporter(args: argparse.Namespace) -> Reporter:
    """The reporter that fits the options ``--quiet`` and ``--json`` and what stdout is."""
    if args.json:
        return JsonReporter(sys.stdout)
    if not args.quiet and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from flowsdk.cli.terminal import LiveReporter

        return LiveReporter(sys.stdout)
    return PlainReporter(sys.stdout, quiet=args.quiet)


def failure_text(failed: tuple[TaskResult, ...]) -> str:
    """The last words of a failed run: the errors of its tasks, the user's own frames only."""
    parts = []
    for result in failed[:_FAILURES_TOLD]:
        attempts = f", after {result.attempt + 1} attempts" if result.attempt else ""
        error = result.error
        told = "It left no result."
        if error:
            told = error.traceback.rstrip() or f"{error.type}: {error.message}"
        parts.append(f"Step {result.step!r} failed ({result.pathspec}{attempts}):\n{told}\n")
    if len(failed) > _FAILURES_TOLD:
        parts.insert(0, f"{len(failed)} tasks failed, of which {_FAILURES_TOLD} are shown.\n")
    return "".join(parts)


def _ending(result: TaskResult, again_in: float | None) -> str:
    if result.succeeded:
        return "Task finished successfully."
    if again_in is None:
        return "Task failed."
    when = f" in {again_in:g} seconds" if again_in else ""
    return f"Task failed; it will be tried again{when}."


def _place(task: TaskSpec | TaskResult) -> dict[str, Any]:
    return {"step": task.step, "task": task.task, "attempt": task.attempt}


def local_time(seconds: float | None = None) -> datetime:
    """A point in time (epoch seconds; None for now) on the clock of this place."""
    now = datetime.now() if seconds is None else datetime.fromtimestamp(seconds)  # noqa: DTZ005, DTZ006
    return now.astimezone()
