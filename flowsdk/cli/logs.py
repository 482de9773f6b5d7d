"""``python flow.py logs``."""

from __future__ import annotations

import argparse
import sys

from flowsdk.cli.target import tasks_of
from flowsdk.client.tasks import Task
from flowsdk.exception import UsageError
from flowsdk.flow import FlowSpec


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The options of ``logs``."""
    parser.usage = "%(prog)s [options] RUN/STEP[/TASK]"
    parser.add_argument("path", nargs="+", metavar="RUN/STEP[/TASK]",
                        help="'logs show RUN/STEP' is understood too")  # fmt: skip
    streams = parser.add_mutually_exclusive_group()
    for stream in ("stdout", "stderr", "both"):
        default = " (the default)" if stream == "both" else ""
        streams.add_argument(f"--{stream}", action="store_const", const=stream, dest="stream",
                             help=f"print {stream}{default}")  # fmt: skip
    parser.set_defaults(stream="both")
    parser.add_argument("--timestamps", action="store_true",
                        help="print when each line was printed, in local time")  # fmt: skip
    parser.add_argument("--attempt", type=int, default=None, metavar="N",
                        help="which attempt, from 0 (default: the one that counts)")  # fmt: skip


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Print the logs of a task, or of all tasks of a step."""
    path = args.path[1:] if args.path[0] == "show" and len(args.path) > 1 else args.path
    if len(path) != 1:
        raise UsageError(f"Which task (command line): found {' '.join(path)!r}, expected one.")
    streams = ("stdout", "stderr") if args.stream == "both" else (args.stream,)
    for task in tasks_of(flow, args, path[0]):
        _, run, step, task_id = task.path_components
        _note(args, f"Dumping logs of run_id={run} step={step} task_id={task_id}")
        for stream in streams:
            _note(args, stream)
            _print(task, stream, args.timestamps)
    return 0


def _note(args: argparse.Namespace, text: str) -> None:
    """A heading: on stderr, so that stdout holds the log and nothing else."""
    if not args.quiet:
        sys.stdout.flush()
        sys.stderr.write(f"{text}\n")


def _print(task: Task, stream: str, timestamps: bool) -> None:
    for time, text in task.loglines(stream):  # type: ignore[arg-type]  # one of the two by now
        stamp = f"{time.astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3] + " " if timestamps else ""
        sys.stdout.write(f"{stamp}{text}\n")
