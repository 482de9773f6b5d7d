"""``python flow.py run``, and what ``resume`` has in common with it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from flowsdk.cli.check import validate
from flowsdk.cli.flow_parameters import add_parameters, given_parameters
from flowsdk.cli.progress import failure_text, reporter
from flowsdk.cli.words import not_empty, positive
from flowsdk.datastore.tags import RunTags
from flowsdk.decorators.project import given_branch, project_of
from flowsdk.exception import ParameterError, TagError, UsageError
from flowsdk.flow import FlowSpec
from flowsdk.local.hooks import call_exit_hooks
from flowsdk.local.launchers import OnLines
from flowsdk.local.run import LocalRun, RunOptions
from flowsdk.parameters import resolve_parameters


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:
    """The options of ``run``: one for each parameter of the flow, and how to run."""
    add_run_options(parser, add_parameters(parser, flow))


def add_run_options(parser: argparse.ArgumentParser, taken: Container[str] = ()) -> None:
    """The options that say how to run; all commands that run a flow have them.

    Args:
        parser: Of the command.
        taken: Names that parameters of the flow have. They go before what Metaflow does not have.
    """
    parser.add_argument("--max-workers", type=positive, default=16, metavar="N",
                        help="how many tasks may run at once (default: %(default)s)")  # fmt: skip
    parser.add_argument("--max-num-splits", type=positive, default=None, metavar="N",
                        help="refuse a foreach with more splits (default: no limit)")  # fmt: skip
    parser.add_argument("--max-log-size", type=positive, default=10, metavar="MB",
                        help="keep so much of what a task prints on this machine (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--tag", action="append", default=[], dest="tags", metavar="TAG",
                        help="tag the run; may be repeated")  # fmt: skip
    parser.add_argument("--namespace", type=not_empty, default=None, metavar="TAG",
                        help="what the client looks in when steps use it (default: "
                        "user:NAME)")  # fmt: skip
    parser.add_argument("--with", action="append", default=[], dest="with_after",
                        metavar="DECO", help="as before the command")  # fmt: skip
    parser.add_argument("--run-id-file", type=Path, default=None, metavar="FILE",
                        help="write the run id to this file when the run starts")  # fmt: skip
    parser.add_argument("--runner-attribute-file", type=Path, default=None, metavar="FILE",
                        help="write flow_name, run_id and metadata to this file, as JSON, when "
                        "the run starts")  # fmt: skip
    if "json" in taken:
        parser.set_defaults(json=False)
    else:
        parser.add_argument("--json", action="store_true",
                            help="print one JSON object for each event instead of "
                            "lines")  # fmt: skip


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Run the flow; 0 if it succeeded, 1 if it failed, 2 if a parameter is wrong."""
    validate(flow, quiet=args.quiet)
    try:
        options = options_of(args)
        project = project_of(flow, options.branch, options.production)
        given = given_parameters(args)
        parameters = resolve_parameters(flow, given, os.environ, project=project)
        return carry_out(args, lambda on_lines: LocalRun(flow, parameters, options, on_lines))
    except (
        ParameterError
    ) as error:  # a file that is given may only turn out to be none when it is read
        sys.stderr.write(f"{error}\n")
        return 2


def options_of(args: argparse.Namespace) -> RunOptions:
    """How to run, from the options of :func:`add_run_options`."""
    branch, production = given_branch(args)
    return RunOptions(
        root=args.datastore_root,
        decorators=args.decorators,
        max_workers=args.max_workers,
        max_num_splits=args.max_num_splits,
        tags=_checked(args.tags),
        namespace=args.namespace,
        branch=branch,
        production=production,
        max_log_bytes=args.max_log_size * 1_000_000,
    )


def carry_out(args: argparse.Namespace, prepare: Callable[[OnLines], LocalRun]) -> int:
    """Execute a run and tell how it goes.

    Args:
        args: The command line.
        prepare: Makes the run; given what is to be called with the lines that tasks print.

    Returns:
        0 if it succeeded, 1 if it failed.

    Raises:
        UsageError: A file that was asked for cannot be written.
    """
    begun, succeeded = None, False
    try:
        with reporter(args) as told:
            run = prepare(told.lines)
            _write_files(args, run)
            told.begin(run.run, run.graph)
            begun = run
            try:
                with stopping_tasks_when_stopped():
                    outcome = run.execute(told.listener())
                succeeded = outcome.succeeded
            finally:  # a run that was interrupted, or went too far, has ended as well
                told.finish(succeeded)
    finally:
        if begun is not None:
            call_exit_hooks(begun, succeeded=succeeded)
    if outcome.succeeded:
        return 0
    sys.stderr.write(failure_text(outcome.failed))
    return 1


@contextmanager
def stopping_tasks_when_stopped() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP end the run as Ctrl-C does: no task outlives it."""

    def leave(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {n: signal.signal(n, leave) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_files(args: argparse.Namespace, run: LocalRun) -> None:
    """Tell whoever waits for it which run this is."""
    attributes = {
        "flow_name": run.run.flow,
        "run_id": run.run.run,
        "metadata": run.metadata,
    }
    write_at_once("--run-id-file", args.run_id_file, run.run.run)
    write_at_once("--runner-attribute-file", args.runner_attribute_file, json.dumps(attributes))


def write_at_once(option: str, path: Path | None, text: str) -> None:
    """Write a file that is there with all of its content or not at all: others wait for it.

    Args:
        option: That names the file.
        path: The file; None for none.
        text: Its content.

    Raises:
        UsageError: It cannot be written.
    """
    if path is None:
        return
    try:
        if path.exists() and not path.is_file():  # a pipe, or /dev/stdout
            path.write_text(text, "utf-8")
            return
        temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
        try:
            temporary.write_text(text, "utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{option} {path}: {error.strerror}. Name a file that can be written."
        ) from error


def _checked(tags: Sequence[str]) -> tuple[str, ...]:
    try:
        RunTags().replaced((), tags)
    except TagError as error:
        raise UsageError(f"--tag: {error}") from error
    return tuple(tags)
