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
    """

    unknown: str | None
    command: str | None


class Parser(argparse.ArgumentParser):
    """As argparse's, but options are never abbreviated and misspelt names get suggestions."""

    def __init__(self, **options: Any) -> None:
        # An abbreviation would change its meaning when a flow gets another parameter.
        super().__init__(allow_abbrev=False, **{"formatter_class": _formatter, **options})

    def parse_args(  # type: ignore[override]  # never called with a namespace here
        self, args: Sequence[str] | None = None
    ) -> argparse.Namespace:
        """The parsed arguments; exits with code 2 if there are any that nothing takes."""
        words = list(sys.argv[1:] if args is None else args)
        # argparse would take the value after such an option for the command, and complain of that.
        if unknown := self.leading(words).unknown:
            self._refuse([unknown], words)
        found, rest = self.parse_known_args(words)
        if rest:
            self._refuse(rest, words)
        return found

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and end with code 2."""
        if match := _BAD_CHOICE.search(message):
            known = re.findall(r"[\w-]+", match["known"])
            message = f"{message}.{did_you_mean(match['found'], known)}"
        super().error(message)

    def leading(self, words: Sequence[str]) -> Leading:
        """The command and what is wrong with the options before it."""
        rest = iter(words)
        for word in rest:
            if not word.startswith("-"):
                return Leading(None, word)
            name, equals, _ = word.partition("=")
            action = self._option_string_actions.get(name)
            if action is None:
                return Leading(name, None)
            if not equals:
                for _ in range(action.nargs if isinstance(action.nargs, int) else 1):
                    next(rest, None)
        return Leading(None, None)

    @property
    def subparsers(self) -> dict[str, Parser]:
        """The parsers of the commands, by name; empty where there are none."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return dict(action.choices)
        return {}

    def _refuse(self, words: Sequence[str], line: Sequence[str]) -> NoReturn:
        known = list(self._known_options(line))
        options = [word.partition("=")[0] for word in words if word.startswith("-")]
        hints = "".join(did_you_mean(option, known) for option in options)
        self.error(f"unrecognized arguments: {' '.join(words)}.{hints}")

    def _known_options(self, line: Sequence[str]) -> Iterator[str]:
        """The options of this parser and of the commands that the line names."""
        yield from self._option_string_actions
        for name, parser in self.subparsers.items():
            if name in line:
                yield from parser._known_options(line)
