"""An argument parser whose errors name near misses."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from flowsdk.exception import did_you_mean

_BAD_CHOICE = re.compile(r"invalid choice: '?(?P<found>[^' ]+)'? \(choose from (?P<known>.*)\)")


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Puts a name and its meaning on one line more often than the default does."""
    return argparse.HelpFormatter(prog, max_help_position=30)


class Leading(NamedTuple):
    """What comes first on a command line.

    Attributes:
        unknown: The first option before the command that does not exist, or None.
        command: The command, or None.
        after: What follows the command.
    """

    unknown: str | None
    command: str | None
    after: tuple[str, ...]


class Parser(argparse.ArgumentParser):
    """As argparse's, but options are never abbreviated and misspelt names get suggestions."""

    def __init__(self, **options: Any) -> None:
        # An abbreviation would change its meaning when a flow gets another parameter.
        super().__init__(allow_abbrev=False, **{"formatter_class": _formatter, **options})
        self._intermixing = False

    def parse_args(  # type: ignore[override]  # never called with a namespace here
        self, args: Sequence[str] | None = None
    ) -> argparse.Namespace:
        """The parsed arguments; exits with code 2 if there are any that nothing takes."""
        words = list(sys.argv[1:] if args is None else args)
        # argparse would take the value after such an option for the command, and complain of that.
        for parser, leading in self._named(words):
            if parser.subparsers and leading.unknown:
                self._refuse([leading.unknown], words)
        found, rest = self.parse_known_args(words)
        if rest:
            self._refuse(rest, words)
        return found

    def parse_known_args(  # type: ignore[override]  # the overloads say no more
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's, but options may stand between the other words of a command.

        argparse by itself takes as many of those words at once as it can: of ``get PATH --id x
        FILE`` it refuses FILE.
        """
        if self.subparsers or self._intermixing:
            return super().parse_known_args(args, namespace)
        self._intermixing = True  # what is called next calls this method
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixing = False

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and end with code 2."""
        if message.endswith("expected one argument"):
            message += ". Give a value that begins with '-' as OPTION=VALUE"
        if match := _BAD_CHOICE.search(message):
            known = re.findall(r"[\w-]+", match["known"])
            message = f"{message}.{did_you_mean(match['found'], known)}"
        super().error(message)

    def leading(self, words: Sequence[str]) -> Leading:
        """The command and what is wrong with the options before it."""
        rest = iter(words)
        for word in rest:
            if not word.startswith("-"):
                return Leading(None, word, tuple(rest))
            name, equals, _ = word.partition("=")
            action = self._option_string_actions.get(name)
            if action is None:
                return Leading(name, None, ())
            if not equals:
                for _ in range(action.nargs if isinstance(action.nargs, int) else 1):
                    next(rest, None)
        return Leading(None, None, ())

    @property
    def subparsers(self) -> dict[str, Parser]:
        """The parsers of the commands, by name; empty where there are none."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return dict(action.choices)
        return {}

    def _refuse(self, words: Sequence[str], line: Sequence[str]) -> NoReturn:
        """Say which words nothing takes, with the usage of the command that they were given to."""
        *outer, (asked, _) = self._named(line)
        known = {
            **{option: f" before {asked.prog.split()[-1]}" for parser, _ in outer
               for option in parser._option_string_actions},
            **{option: f" after {name}" for name, parser in asked.subparsers.items()
               if name in line for option in parser._option_string_actions},
        }  # fmt: skip
        near = dict.fromkeys([*asked._option_string_actions, *known])
        options = [word.partition("=")[0] for word in words if word.startswith("-")]
        hints = [
            f" Give {option}{known[option]}." if option in known else did_you_mean(option, near)
            for option in options
        ]
        asked.error(f"unrecognized arguments: {' '.join(words)}.{''.join(hints)}")

    def _named(self, line: Sequence[str]) -> Iterator[tuple[Parser, Leading]]:
        """This parser, that of the command which the line names, and so on inwards."""
        leading = self.leading(line)
        yield self, leading
        if leading.command in self.subparsers:
            yield from self.subparsers[leading.command]._named(leading.after)
