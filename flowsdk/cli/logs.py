"""``python flow.py logs``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Collection

from flowsdk.cli.target import tasks_of
from flowsdk.cli.words import count
from flowsdk.client import Task
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import NotFound, UsageError
from flowsdk.flow import FlowSpec
from flowsdk.identity import user_name
from flowsdk.runtime.logs import LogLine, make_chunk, parse_chunk
from flowsdk.spec import TaskRef

_BOTH = ("stdout", "stderr")


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The options of ``logs``."""
    parser.usage = "%(prog)s [show | scrub] [options] RUN/STEP[/TASK]"
    parser.description = (
        "Print the logs of a task or of all tasks of a step, or replace the stored ones by a note "
        "that they were scrubbed."
    )
    parser.add_argument("path", nargs="+", metavar="[show | scrub] RUN/STEP[/TASK]",
                        help="show is the default")  # fmt: skip
    streams = parser.add_mutually_exclusive_group()
    for stream in ("stdout", "stderr", "both"):
        default = " (the default)" if stream == "both" else ""
        streams.add_argument(f"--{stream}", action="store_const", const=stream, dest="stream",
                             help=f"print or scrub {stream}{default}")  # fmt: skip
    parser.set_defaults(stream="both")
    parser.add_argument("--attempt", type=count, default=None, metavar="N",
                        help="which attempt, from 0 (default: the one that counts)")  # fmt: skip
    show = parser.add_argument_group("of show")
    show.add_argument("--timestamps", action="store_true",
                      help="print when each line was printed, in local time")  # fmt: skip
    show.add_argument("--json", action="store_true",
                      help="print one JSON object for each line")  # fmt: skip
    scrub = parser.add_argument_group("of scrub")
    scrub.add_argument("--all", action="store_true", help="all attempts, not only one")
    scrub.add_argument("--latest", action="store_false", dest="all",
                       help="only the attempt that counts (the default)")  # fmt: skip
    scrub.add_argument("--include-not-done", action="store_true",
                       help="also tasks that have not ended, as far as they have logs")  # fmt: skip


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Print or scrub the logs of a task, or of all tasks of a step."""
    action, path = _action(args.path)
    tasks = tasks_of(flow, args, path)
    streams = _BOTH if args.stream == "both" else (args.stream,)
    if action == "scrub":
        return _scrub(tasks, streams, args)
    for task in tasks:
        _, run, step, task_id = task.path_components
        _note(args, f"Dumping logs of run_id={run} step={step} task_id={task_id}")
        if args.json:
            _print_json(task, streams)
            continue
        for stream in streams:
            _note(args, stream)
            _print(task, stream, args.timestamps)
    return 0


def _action(words: list[str]) -> tuple[str, str]:
    action = words[0] if len(words) > 1 and words[0] in ("show", "scrub") else "show"
    path = words[1:] if len(words) > 1 and words[0] == action else words
    if len(path) != 1:
        raise UsageError(f"Which task (command line): found {' '.join(path)!r}, expected one.")
    return action, path[0]


def _note(args: argparse.Namespace, text: str) -> None:
    """A heading: on stderr, so that stdout holds the log and nothing else."""
    if not args.quiet and not args.json:
        sys.stdout.flush()
        sys.stderr.write(f"{text}\n")


def _print(task: Task, stream: str, timestamps: bool) -> None:
    for moment, text in task.loglines(stream):  # type: ignore[arg-type]  # one of the two by now
        stamp = f"{moment.astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3] + " " if timestamps else ""
        sys.stdout.write(f"{stamp}{text}\n")


def _print_json(task: Task, streams: Collection[str]) -> None:
    for stream in streams:
        for moment, text in task.loglines(stream):  # type: ignore[arg-type]  # one of the two
            facts = {"pathspec": task.pathspec, "attempt": task.current_attempt, "stream": stream,
                     "time": moment.isoformat(), "text": text}  # fmt: skip
            sys.stdout.write(f"{json.dumps(facts)}\n")


def _scrub(tasks: list[Task], streams: Collection[str], args: argparse.Namespace) -> int:
    """Scrub the logs of those tasks that have ended, or of all."""
    if args.all and args.attempt is not None:
        raise UsageError("Which attempts (command line): found --all and --attempt, expected one.")
    chosen = [task for task in tasks if task.finished or args.include_not_done]
    if not chosen:
        raise NotFound(
            f"No task of {args.path[-1]} has ended. With --include-not-done, what they have printed "
            f"so far is scrubbed."
        )
    for task in chosen:
        for ref in _attempts(task) if args.all else [_ref(task, task.current_attempt)]:
            scrub(task._store(), task.path_components[1], ref, streams)
            if not args.quiet:
                sys.stderr.write(f"Logs scrubbed: {task.pathspec}, attempt {ref.attempt}\n")
    return 0


def scrub(store: FlowDatastore, run: str, ref: TaskRef, streams: Collection[str]) -> None:
    """Replace the stored log of an attempt by a note that it was scrubbed.

    Args:
        store: The flow's datastore.
        run: Run id.
        ref: The attempt.
        streams: What to scrub, ``stdout`` and ``stderr`` or one of them.
    """
    chunks = [parse_chunk(data) for data in store.log_chunks(run, ref)]
    note = f"[scrubbed by {user_name()}]"
    notes = [LogLine(time.time_ns() // 1_000_000, stream, note) for stream in streams]
    for number, lines in enumerate(chunks):
        kept = [line for line in lines if line.stream not in streams]
        content = make_chunk([*(notes if number == 0 else []), *kept])
        store.write_log_chunk(run, ref, number, content)


def _attempts(task: Task) -> list[TaskRef]:
    _, run, step, task_id = task.path_components
    return task._store().attempts(run, step)[step][task_id]


def _ref(task: Task, attempt: int) -> TaskRef:
    return TaskRef(task.path_components[2], task.path_components[3], attempt)
