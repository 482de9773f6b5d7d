"""``python flow.py dump``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from flowsdk.artifacts.serializer import dump as pickled
from flowsdk.cli.target import tasks_of
from flowsdk.cli.words import count
from flowsdk.client import DataArtifact, Task
from flowsdk.exception import NotFound, UsageError
from flowsdk.flow import FlowSpec


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The options of ``dump``."""
    parser.add_argument("path", metavar="RUN/STEP[/TASK]")
    parser.add_argument("--private", action="store_true",
                        help="also artifacts whose names begin with an underscore")  # fmt: skip
    parser.add_argument("--max-value-size", type=count, default=1000, metavar="BYTES",
                        help="print values up to this size (default: %(default)s)")  # fmt: skip
    parser.add_argument("--include", default="", metavar="NAMES",
                        help="only these artifacts, separated by commas")  # fmt: skip
    parser.add_argument("--json", action="store_true",
                        help="print one JSON object for each artifact")  # fmt: skip
    parser.add_argument("--file", type=Path, default=None,
                        help="instead of printing, pickle a dictionary of task → name → value "
                        "into this file")  # fmt: skip


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Print or save the artifacts of a task, or of all tasks of a step."""
    saved: dict[str, dict[str, Any]] = {}
    for task in tasks_of(flow, args, args.path):
        _, run, step, task_id = task.path_components
        if not args.quiet and not args.json:
            where = f"run_id={run} step={step} task_id={task_id}"
            sys.stderr.write(f"Dumping output of {where}\n")
        artifacts = _chosen(task, args)
        if args.file:
            saved[task.pathspec] = {artifact.id: artifact.data for artifact in artifacts}
        else:
            line = _json_line if args.json else _line
            for artifact in artifacts:
                sys.stdout.write(f"{line(artifact, args.max_value_size)}\n")
    if args.file:
        _save(args.file, saved)
        if not args.quiet:
            sys.stderr.write(f"Artifacts written to {args.file}\n")
    return 0


def _chosen(task: Task, args: argparse.Namespace) -> list[DataArtifact]:
    if not task.successful:
        state = "failed" if task.finished else "is still running"
        raise NotFound(
            f"Task {task.pathspec} {state}: only tasks that succeeded have artifacts. "
            f"'logs {task.path_components[1]}/{task.path_components[2]}' shows what it printed."
        )
    names = [name for name in args.include.split(",") if name]
    found, missing = [], []
    for name in names or task.artifact_names(private=args.private):
        try:
            found.append(task[name])
        except KeyError as error:
            missing.append(str(error.args[0]))
    if missing:
        raise NotFound("\n".join(missing))
    return found


def _line(artifact: DataArtifact, max_value_size: int) -> str:
    kind = artifact.type.removeprefix("builtins.")
    head = f"{artifact.id} [size: {artifact.size} type: <class '{kind}'>]"
    return f"{head} = {artifact.data}" if artifact.size <= max_value_size else head


def _json_line(artifact: DataArtifact, max_value_size: int) -> str:
    """An artifact as JSON: ``value`` if JSON can hold it, else ``repr``, neither if it is too large."""
    facts: dict[str, Any] = {"pathspec": artifact.pathspec, "name": artifact.id,
                             "type": artifact.type, "size": artifact.size}  # fmt: skip
    if artifact.size > max_value_size:
        return json.dumps(facts)
    value = artifact.data
    try:
        return json.dumps({**facts, "value": value}, allow_nan=False)
    except (TypeError, ValueError):
        return json.dumps({**facts, "repr": repr(value)})


def _save(path: Path, values: dict[str, dict[str, Any]]) -> None:
    try:
        path.write_bytes(pickled(values))
    except OSError as error:
        raise UsageError(
            f"--file {path}: {error.strerror}. Name a file that can be written."
        ) from error
