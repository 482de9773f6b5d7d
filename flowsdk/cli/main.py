"""``flowsdk …``: what concerns no single flow."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from flowsdk.cli.commands import Command, CommandLine
from flowsdk.cli.ending import exit_code
from flowsdk.cli.parser import Parser

#: As in :mod:`flowsdk.cli.flow`, without a context.
COMMANDS = {
    "status": Command("flowsdk.cli.status", "show where runs lie and which flows have any"),
    "configure": Command("flowsdk.cli.configure", "show every setting and where it comes from"),
    "tutorials": Command("flowsdk.cli.tutorials", "list the example flows, and copy them"),
    "gc": Command("flowsdk.cli.gc", "remove old runs, and data that no run refers to"),
    "completion": Command("flowsdk.cli.completion", "print the shell's completion of this command "
                          "and of flow files"),
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """The ``flowsdk`` command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return exit_code(lambda: _execute(arguments))


def _execute(arguments: list[str]) -> int:
    parser = Parser(prog="flowsdk", description="Flows: what is here and where it lies.")
    line = CommandLine(parser, COMMANDS)
    if line.complete(arguments):
        return 0
    args = line.parse(arguments)
    if line.answer(args):
        return 0
    if args.command is None:
        parser.print_help()
        return 0
    return line.execute(args)


if __name__ == "__main__":
    sys.exit(main())
