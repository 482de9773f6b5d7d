"""``flowsdk …``: what concerns no single flow."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from flowsdk.cli.ending import exit_code
from flowsdk.cli.parser import Parser
from flowsdk.client import Metaflow
from flowsdk.client.selection import get_metadata
from flowsdk.local.root import default_root
from flowsdk.version import VERSION


def main(argv: Sequence[str] | None = None) -> int:
    """The ``flowsdk`` command; returns the exit code."""
    parser = Parser(prog="flowsdk", description="Flows: what is here and where it lies.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands.add_parser("status", help="show where runs lie and which flows have any")
    commands.add_parser("version", help="print the version")
    commands.add_parser("help", help="show all commands")
    return exit_code(lambda: _execute(parser, argv))


def _execute(parser: Parser, argv: Sequence[str] | None) -> int:
    command = parser.parse_args(argv).command
    if command == "version":
        sys.stdout.write(f"{VERSION}\n")
    elif command == "status":
        _print_status()
    else:
        parser.print_help()
    return 0


def _print_status() -> None:
    provider = get_metadata()
    sys.stdout.write(f"flowsdk {VERSION}\nDatastore:  {default_root()}\nMetadata:   {provider}\n")
    counts = {flow.id: sum(1 for _ in flow) for flow in Metaflow()}
    if not counts:
        sys.stdout.write("No flow has run here yet.\n")
        return
    sys.stdout.write("Flows:\n")
    width = max(map(len, counts))
    for name, count in counts.items():
        sys.stdout.write(f"    {name:<{width}}  {count} run{'s' * (count != 1)}\n")


if __name__ == "__main__":
    sys.exit(main())
