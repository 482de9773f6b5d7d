"""``python flow.py check``, and ``python flow.py`` alone."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from flowsdk import lint
from flowsdk.decorators.settings import step_settings
from flowsdk.exception import DecoratorError, FlowException, FlowLintError
from flowsdk.flow import FlowSpec, graph_of
from flowsdk.graph import FlowGraph
from flowsdk.parameters import collect_parameters


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The options of ``check``."""
    parser.add_argument("--warnings", action=argparse.BooleanOptionalAction,
                        help="accepted for Metaflow's sake: every problem is always "
                        "reported, and there are no mere warnings")  # fmt: skip


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Say whether the flow is well formed, and what else there is to do with it."""
    validate(flow, quiet=args.quiet)
    if not args.quiet:
        sys.stderr.write(_HINTS.format(file=shlex.quote(sys.argv[0])))
    return 0


def validate(flow: type[FlowSpec], *, quiet: bool) -> None:
    """Check the flow: its graph, its parameters and what its decorators ask for.

    Args:
        flow: The flow class.
        quiet: Say nothing if all is well.

    Raises:
        FlowLintError: It has problems of several kinds, or its graph has; the message lists all.
        ParameterError: Only its parameters have; likewise.
        DecoratorError: Only the decorators of a step do not go together.
    """
    if not quiet:
        sys.stderr.write("Validating your flow...\n")
    graph = graph_of(flow)
    errors = _errors(
        [
            lambda: lint.validate(graph),
            lambda: collect_parameters(flow),
            *(partial(step_settings, flow, node.name) for node in graph),
            partial(_check_jobs, flow, graph),
        ]
    )
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise FlowLintError([problem for error in errors for problem in _problems(error)])
    if not quiet:
        sys.stderr.write("    The graph looks good!\n")


def _check_jobs(flow: type[FlowSpec], graph: FlowGraph) -> None:
    """What AWS Batch would refuse whatever is configured."""
    from flowsdk.aws_batch.objections import job_problems

    try:
        problems = list(job_problems(flow, graph))
    except DecoratorError:
        return  # that of a step, which is reported as such
    if problems:
        raise FlowLintError(problems)


def _errors(checks: Iterable[Callable[[], object]]) -> list[FlowException]:
    found = []
    for check in checks:
        try:
            check()
        except FlowException as error:
            found.append(error)
    return found


def _problems(error: FlowException) -> Sequence[object]:
    return error.problems if isinstance(error, FlowLintError) else str(error).splitlines()


_HINTS = """
'python {file} show' shows a description of this flow.
'python {file} run' runs the flow locally.
'python {file} help' shows all available commands and options.
"""
