"""A command line of several commands, of which only the chosen one is imported."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from flowsdk.cli.parser import Parser
from flowsdk.exception import UsageError, did_you_mean
from flowsdk.version import VERSION


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        module: Where it is: a module with ``add_arguments(parser, *context)`` and
            ``execute(*context, args) -> int``.
        summary: What it does, for the list of commands.
    """

    module: str
    summary: str


#: The first word of a command line that only asks how another one can go on.
ASKED_BY_SHELL = "__complete"
_OWN = {
    "help": "show all commands and options, or those of one command",
    "version": "print the version of flowsdk",
}


class CommandLine:
    """Parses and carries out ``[options] COMMAND [options]``.

    How it works:
        Every command is listed, from the table. A command's module is imported, and its options are
        made, when the words name it: starting up costs one command, not all of them. ``help`` and
        ``version`` are added here.

    Args:
        parser: With the options that come before the command.
        table: The commands by name.
        context: Given to the functions of every command, before their own argument.
    """

    def __init__(self, parser: Parser, table: Mapping[str, Command], *context: Any) -> None:
        self.parser = parser
        self._table = table
        self._context = context
        self._parsers: dict[str, Parser] = {}
        commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
        for name, command in table.items():
            self._parsers[name] = commands.add_parser(
                name, help=command.summary, description=f"{_capitalized(command.summary)}."
            )
        for name, summary in _OWN.items():
            self._parsers[name] = commands.add_parser(name, help=summary)
        self._parsers["help"].add_argument("topic", nargs="?", metavar="COMMAND")
        self._complete = set(_OWN)

    @property
    def commands(self) -> list[str]:
        """Names of the commands."""
        return list(self._parsers)

    def parser_of(self, name: str) -> Parser:
        """The parser of one command, with all of its options.

        Raises:
            UsageError: There is no such command.
        """
        if name not in self._parsers:
            raise UsageError(
                f"Command: found {name!r}, expected one of {', '.join(self._parsers)}."
                f"{did_you_mean(name, self._parsers)}"
            )
        if name not in self._complete:
            self._complete.add(name)
            self._module(name).add_arguments(self._parsers[name], *self._context)
        return self._parsers[name]

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The parsed words; prints why and ends with code 2 if they are wrong."""
        chosen = self.parser.leading(words).command
        if chosen is None:  # for a message, which can say that an option is the command's
            chosen = next((word for word in words if word in self._parsers), None)
        if chosen in self._parsers:
            self.parser_of(chosen)
        return self.parser.parse_args(words)

    def complete(self, words: Sequence[str]) -> bool:
        """Tell a shell what ``words`` can become, if it is a shell that asks; whether it was."""
        if not words or words[0] != ASKED_BY_SHELL:
            return False
        from flowsdk.cli.completion import candidates

        for word, meaning in candidates(self, words[1:]):
            sys.stdout.write(f"{word}\t{' '.join(meaning.split())}\n")
        return True

    def answer(self, args: argparse.Namespace) -> bool:
        """Carry out ``help`` and ``version``; whether it was one of them."""
        if args.command == "version":
            sys.stdout.write(f"{VERSION}\n")
        elif args.command == "help":
            (self.parser_of(args.topic) if args.topic else self.parser).print_help()
        else:
            return False
        return True

    def execute(self, args: argparse.Namespace) -> int:
        """Carry out a command of the table. Returns its exit code."""
        return int(self._module(args.command).execute(*self._context, args))

    def _module(self, name: str) -> Any:
        return import_module(self._table[name].module)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
