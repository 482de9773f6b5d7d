"""``python flow.py run``."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from flowsdk.cli.check import validate
from flowsdk.exception import ParameterError
from flowsdk.flow import FlowSpec
from flowsdk.local.run import LocalRun, RunOptions
from flowsdk.local.scheduler import Listener
from flowsdk.parameters import collect_parameters, resolve_parameters
from flowsdk.runtime.logs import LogLine
from flowsdk.spec import TaskResult, TaskSpec


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:
    """The options of ``run``: one for each parameter of the flow, and how to run."""
    parser.add_argument("--max-workers", type=_positive, default=16, metavar="N",
                        help="how many tasks may run at once (default: %(default)s)")  # fmt: skip
    parser.add_argument("--max-num-splits", type=_positive, default=None, metavar="N",
                        help="refuse a foreach with more splits (default: no limit)")  # fmt: skip
    parser.add_argument("--tag", action="append", default=[], dest="tags", metavar="TAG",
                        help="tag the run; may be repeated")  # fmt: skip
    parser.add_argument("--run-id-file", type=Path, default=None, metavar="FILE",
                        help="write the run id to this file when the run starts")  # fmt: skip
    parser.add_argument("--with", action="append", default=[], dest="with_after",
                        metavar="DECO", help="as before the command")  # fmt: skip
    group = parser.add_argument_group("parameters of the flow")
    for parameter in collect_parameters(flow).values():
        group.add_argument(
            f"--{parameter.name}",
            dest=f"parameter:{parameter.name}",
            default=argparse.SUPPRESS,
            metavar="VALUE",
            help=_help(parameter),
        )


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Run the flow; 0 if it succeeded, 1 if it failed, 2 if a parameter is wrong."""
    validate(flow, quiet=args.quiet)
    prefix = "parameter:"
    given = {
        name.removeprefix(prefix): value
        for name, value in vars(args).items()
        if name.startswith(prefix)
    }
    try:
        parameters = resolve_parameters(flow, given, os.environ)
    except ParameterError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    options = RunOptions(
        root=args.datastore_root,
        decorators=args.decorators,
        max_workers=args.max_workers,
        max_num_splits=args.max_num_splits,
        tags=tuple(args.tags),
    )
    printer = _Printer(quiet=args.quiet)
    run = LocalRun(flow, parameters, options, printer.lines)
    if args.run_id_file:
        args.run_id_file.write_text(run.run.run, "utf-8")
    printer.say(f"Workflow starting (run-id {run.run.run}):")
    with _stopping_tasks_when_stopped():
        outcome = run.execute(Listener(printer.started, printer.ended))
    if outcome.succeeded:
        printer.say("Done!")
        return 0
    printer.failures(outcome.failed)
    return 1


@contextmanager
def _stopping_tasks_when_stopped() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP end the run as Ctrl-C does: no task outlives it."""

    def leave(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {n: signal.signal(n, leave) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _help(parameter: Any) -> str:
    text = (parameter.help or "").replace("%", "%%")
    if parameter.required:
        return f"{text} (required)".strip()
    if parameter.default is None or callable(parameter.default):
        return text
    return f"{text} (default: {str(parameter.default).replace('%', '%%')})".strip()


class _Printer:
    """Prints a run as plain lines: what tasks print on stdout, all else too, as Metaflow does."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        if isinstance(sys.stdout, io.TextIOWrapper):  # whatever a task prints must be printable
            sys.stdout.reconfigure(errors="backslashreplace")
        self._names: dict[str, str] = {}

    def say(self, text: str, task: str | None = None) -> None:
        """A line of our own."""
        if not self._quiet:
            self._print(text, task)

    def lines(self, spec: TaskSpec, lines: list[LogLine]) -> None:
        """What a task printed."""
        task = self._task(spec.run, spec.step, spec.task)
        for line in lines:
            self._print(line.text, task)

    def started(self, spec: TaskSpec, name: str) -> None:
        self._names[f"{spec.run}/{spec.step}/{spec.task}"] = name
        again = f" (attempt {spec.attempt + 1})" if spec.attempt else ""
        self.say(f"Task is starting{again}.", self._task(spec.run, spec.step, spec.task))

    def ended(self, result: TaskResult, again_in: float | None) -> None:
        task = self._task(result.run, result.step, result.task)
        if result.succeeded:
            if result.splits:
                self.say(f"Foreach yields {result.splits.count} child steps.", task)
            self.say("Task finished successfully.", task)
        elif again_in is not None:
            when = f" in {again_in:g} seconds" if again_in else ""
            self.say(f"Task failed; it will be tried again{when}.", task)
        else:
            self.say("Task failed.", task)

    def failures(self, failed: tuple[TaskResult, ...]) -> None:
        """The last words of a failed run: the error itself."""
        self.say("Workflow failed.")
        sys.stdout.flush()
        for result in failed:
            error = result.error
            what = f"{error.type.removeprefix('builtins.')}: {error.message}" if error else "?"
            sys.stderr.write(f"Step {result.step!r} failed ({result.pathspec}): {what}\n")

    def _task(self, run: str, step: str, task: str) -> str:
        name = self._names.get(f"{run}/{step}/{task}", "")
        return f"[{run}/{step}/{task} ({name})] "

    def _print(self, text: str, task: str | None) -> None:
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        sys.stdout.write(f"{stamp} {task or ''}{text}\n")
        sys.stdout.flush()
