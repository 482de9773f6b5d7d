"""``python flow.py spin``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from flowsdk.cli.progress import failure_text, reporter
from flowsdk.cli.run import stopping_tasks_when_stopped, write_at_once
from flowsdk.decorators.project import given_branch
from flowsdk.flow import FlowSpec
from flowsdk.local.spin import SPIN_FOLDER, Spin, SpinOptions, artifacts_of_module
from flowsdk.spec import ArtifactRef, TaskResult


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The options of ``spin``."""
    parser.add_argument("pathspec", metavar="STEP|RUN/STEP[/TASK]",
                        help="the task; of a step alone, that of the newest run of a laptop")  # fmt: skip
    parser.add_argument("--skip-decorators", action=argparse.BooleanOptionalAction, default=False,
                        help="run the step's code without what its decorators do")  # fmt: skip
    parser.add_argument("--artifacts-module", type=Path, default=None, metavar="FILE",
                        help="a module whose dictionary ARTIFACTS replaces artifacts that the "
                        "step sees")  # fmt: skip
    parser.add_argument("--persist", action=argparse.BooleanOptionalAction, default=False,
                        help=f"keep what the task leaves in {SPIN_FOLDER}; inspect_spin() has "
                        f"the client read it")  # fmt: skip
    parser.add_argument("--with", action="append", default=[], dest="with_after", metavar="DECO",
                        help="as before the command")  # fmt: skip
    parser.add_argument("--runner-attribute-file", type=Path, default=None, metavar="FILE",
                        help="write flow_name, run_id, step_name, task_id and metadata to this "
                        "file, as JSON, when the task starts")  # fmt: skip
    parser.add_argument("--json", action="store_true",
                        help="print one JSON object for each event instead of lines")  # fmt: skip


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Spin a task; 0 if it succeeded, 1 if it failed."""
    given = args.artifacts_module
    with ExitStack() as stack:
        scratch = SPIN_FOLDER
        if not args.persist:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="flowsdk-spin-"))
        branch, production = given_branch(args)
        options = SpinOptions(
            root=args.datastore_root,
            scratch=scratch,
            decorators=tuple(args.decorators),
            skip_decorators=args.skip_decorators,
            artifacts=artifacts_of_module(given) if given else None,
            keep=args.persist,
            branch=branch,
            production=production,
        )
        told = stack.enter_context(reporter(args))
        spin = Spin(flow, args.pathspec, options)
        _write_attributes(args, spin, scratch)
        told.begin(spin.run)
        told.say(f"Spinning {spin.spec.step}/{spin.spec.task} of run {spin.spec.origin_run}.")
        with stopping_tasks_when_stopped():
            result = spin.execute(told.lines)
        told.ended(result, None)
        told.finish(result.succeeded)
        if result.succeeded and not args.json:
            sys.stdout.write(_artifacts(result))
        if result.succeeded and args.persist:
            told.say(f"{result.pathspec} is kept in {SPIN_FOLDER}; read it after inspect_spin().")
    if result.succeeded:
        return 0
    sys.stderr.write(failure_text((result,)))
    return 1


def _write_attributes(args: argparse.Namespace, spin: Spin, scratch: str) -> None:
    """Tell whoever waits for it which task this is, and where it will be if it is kept."""
    attributes = {
        "flow_name": spin.run.flow,
        "run_id": spin.run.run,
        "step_name": spin.spec.step,
        "task_id": spin.spec.task,
        "metadata": f"local@{Path(scratch).absolute()}",
    }
    write_at_once("--runner-attribute-file", args.runner_attribute_file, json.dumps(attributes))


def _artifacts(result: TaskResult) -> str:
    """What the task has assigned, a line each."""
    own = str(result.ref)
    return "".join(
        f"{_line(name, ref)}\n"
        for name, ref in sorted(result.artifacts.items())
        if ref.origin == own and ref.kind == "artifact"
    )


def _line(name: str, ref: ArtifactRef) -> str:
    head = f"{name} [size: {ref.size} type: <class '{ref.type.removeprefix('builtins.')}'>]"
    return head if ref.preview is None else f"{head} = {ref.preview}"
