"""``python flow.py …``: which command, with what, and how its errors are told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from flowsdk.cli import check, dump, logs, run, show
from flowsdk.cli.ending import exit_code
from flowsdk.cli.parser import Parser
from flowsdk.exception import UsageError
from flowsdk.flow import FlowSpec
from flowsdk.local.root import default_root, s3_root
from flowsdk.local.run import user_name
from flowsdk.version import VERSION

Command = Callable[[type[FlowSpec], argparse.Namespace], int]

#: Name → what to call and what it does.
_COMMANDS: dict[str, tuple[Command, str]] = {
    "run": (run.execute, "run the flow here"),
    "show": (show.execute, "show the steps of the flow"),
    "check": (check.execute, "look for problems in the flow (the default)"),
    "dump": (dump.execute, "print the artifacts of a task or of all tasks of a step"),
    "logs": (logs.execute, "print the logs of a task or of all tasks of a step"),
}
_ARGUMENTS = {"run": run.add_arguments, "dump": dump.add_arguments, "logs": logs.add_arguments}


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


def _execute(flow: type[FlowSpec], arguments: list[str]) -> int:
    parser = _parser(flow)
    args = parser.parse_args(arguments)
    if args.command == "help":
        parser.print_help()
        return 0
    if args.command == "version":
        sys.stdout.write(f"{VERSION}\n")
        return 0
    args.decorators = _decorators([*args.with_before, *getattr(args, "with_after", ())])
    args.root_given = bool(args.datastore_root or args.datastore)
    args.datastore_root = _root(args)
    if not args.quiet:
        sys.stderr.write(f"flowsdk {VERSION} executing {flow.__name__} for user:{user_name()}\n")
    if args.command == "run":
        check.validate(flow, quiet=args.quiet)
    command, _ = _COMMANDS[args.command or "check"]
    return command(flow, args)


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
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (_, summary) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        if name in _ARGUMENTS:
            _ARGUMENTS[name](command, flow)
        if name == "run":
            command.add_argument("--with", action="append", default=[], dest="with_after",
                                 metavar="DECO", help="as before the command")  # fmt: skip
    commands.add_parser("version", help="print the version of flowsdk")
    commands.add_parser("help", help="show all commands and options")
    return parser


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
