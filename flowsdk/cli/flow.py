"""``python flow.py …``: which command, with what, and how its errors are told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from flowsdk.cli.commands import Command, CommandLine
from flowsdk.cli.ending import exit_code
from flowsdk.cli.parser import Parser
from flowsdk.configs.options import add_config_options, take_config_options
from flowsdk.decorators.project import add_project_options
from flowsdk.exception import UsageError
from flowsdk.flow import FlowSpec
from flowsdk.identity import user_name
from flowsdk.local.root import default_root, s3_root
from flowsdk.version import VERSION

#: What a command's module exports is said by :class:`~flowsdk.cli.commands.Command`; the context is
#: the flow class.
COMMANDS = {
    "run": Command("flowsdk.cli.run", "run the flow here"),
    "resume": Command("flowsdk.cli.resume", "run what an earlier run has not done yet"),
    "spin": Command("flowsdk.cli.spin", "run one task of an earlier run again, by itself"),
    "check": Command("flowsdk.cli.check", "look for problems in the flow (the default)"),
    "show": Command("flowsdk.cli.show", "show the steps of the flow"),
    "dump": Command("flowsdk.cli.dump", "print the artifacts of a task or of all tasks of a step"),
    "logs": Command("flowsdk.cli.logs", "print the logs of a task or of all tasks of a step"),
    "tag": Command("flowsdk.cli.tag", "add, remove, replace or list the tags of a run"),
    "card": Command("flowsdk.cli.card", "show, list or serve the cards of tasks"),
    "package": Command("flowsdk.cli.package", "show, list or save the code that jobs are given"),
    "batch": Command("flowsdk.cli.batch", "list or end unfinished AWS Batch jobs of the flow"),
    "airflow": Command("flowsdk.cli.airflow", "deploy the flow to Airflow, and run it there"),
    "output-dot": Command("flowsdk.cli.output_dot", "print the graph for Graphviz"),
    "output-raw": Command("flowsdk.cli.output_raw", "print all that is known of the steps"),
    "completion": Command("flowsdk.cli.completion", "print the shell's completion of flow files"),
}


def main(flow: type[FlowSpec], argv: Sequence[str] | None = None) -> int:
    """The command line of a flow file.

    Args:
        flow: The flow class.
        argv: The arguments; by default the process's.

    Returns:
        The exit code; see :func:`~flowsdk.cli.ending.exit_code`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    return exit_code(lambda: _execute(flow, arguments))


def command_line(flow: type[FlowSpec]) -> CommandLine:
    """The commands and options of a flow's file."""
    return CommandLine(_parser(flow), COMMANDS, flow)


def _execute(flow: type[FlowSpec], arguments: list[str]) -> int:
    line = command_line(flow)
    if line.complete(arguments):
        return 0
    take_config_options(flow, arguments)  # before anything looks at the flow, which they may change
    args = line.parse(arguments)
    if line.answer(args):
        return 0
    args.command = args.command or "check"
    args.decorators = _decorators([*args.with_before, *getattr(args, "with_after", ())])
    args.root_given = bool(args.datastore_root or args.datastore)
    args.datastore_root = _root(args)
    if not args.quiet:
        sys.stderr.write(f"flowsdk {VERSION} executing {flow.__name__} for user:{user_name()}\n")
    return line.execute(args)


def _parser(flow: type[FlowSpec]) -> Parser:
    parser = Parser(
        description=(flow.__doc__ or "").strip().partition("\n")[0] or None,
        epilog="Options above come before the command. 'COMMAND --help' shows a command's own.",
    )
    parser.add_argument("--quiet", action="store_true", help="print only what was asked for")
    parser.add_argument("--datastore", choices=("local", "s3"),
                        help="keep runs in a folder or in S3 (default: as FLOWSDK_DATASTORE says, "
                        "else a folder)")  # fmt: skip
    parser.add_argument("--datastore-root", metavar="URI",
                        help="s3://bucket/prefix or a folder (default: FLOWSDK_DATASTORE, else "
                        "the nearest .flowsdk upwards)")  # fmt: skip
    parser.add_argument("--metadata", metavar="PROVIDER",
                        help="where dump and logs look for runs: local@/folder, s3://bucket/prefix "
                        "or airflow@http://host:8080")  # fmt: skip
    parser.add_argument("--with", action="append", default=[], dest="with_before", metavar="DECO",
                        help="add a decorator to every step, as retry or "
                        "resources:memory=8192; may be repeated")  # fmt: skip
    add_config_options(parser, flow)
    add_project_options(parser, flow)
    _add_accepted_options(parser)
    return parser


def _add_accepted_options(parser: Parser) -> None:
    """Options of Metaflow's for what is not here: scripts that pass them go on working."""
    group = parser.add_argument_group(
        "accepted for Metaflow's sake", "These change nothing: flowsdk has no use for them."
    )
    group.add_argument("--environment", choices=("local",), default="local")
    group.add_argument("--package-suffixes", metavar="SUFFIXES")
    group.add_argument("--pylint", action=argparse.BooleanOptionalAction)
    group.add_argument("--event-logger", metavar="NAME")
    group.add_argument("--monitor", metavar="NAME")


def _root(args: argparse.Namespace) -> str:
    """The datastore that the options ask for."""
    root: str | None = args.datastore_root
    is_s3 = bool(root) and str(root).startswith("s3://")
    if root and args.datastore and is_s3 != (args.datastore == "s3"):
        raise UsageError(
            f"--datastore {args.datastore} and --datastore-root {root} contradict each other. "
            f"Leave one of them out."
        )
    if root:
        return root
    if args.datastore == "s3":
        return s3_root()
    return default_root(folder=args.datastore == "local")


def _decorators(specs: Sequence[str]) -> list[Any]:
    from flowsdk.decorators import STEP_DECORATORS, parse_spec

    return [parse_spec(spec, STEP_DECORATORS) for spec in specs]
