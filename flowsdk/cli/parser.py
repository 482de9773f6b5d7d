"""An argument parser whose errors name near misses."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from flowsdk.exception import did_you_mean

_BAD_CHOICE = re.compile(r"invalid choice: '?(?P<found>[^' ]+)'? \(choose from (?P<known>.*)\)")


class Parser(argparse.ArgumentParser):
    """As argparse's, but options are never abbreviated and misspelt names get suggestions."""

    def __init__(self, **options: Any) -> None:
        # An abbreviation would change its meaning when a flow gets another parameter.
        super().__init__(allow_abbrev=False, **options)

    def parse_args(  # type: ignore[override]  # never called with a namespace here
        self, args: Sequence[str] | None = None
    ) -> argparse.Namespace:
        """The parsed arguments; exits with code 2 if there are any that nothing takes."""
        words = list(sys.argv[1:] if args is None else args)
        if unknown := self._unknown_leading_option(words):
            self._refuse([unknown], None)
        found, rest = self.parse_known_args(words)
        if rest:
            self._refuse(rest, getattr(found, "command", None))
        return found

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and end with code 2."""
        if match := _BAD_CHOICE.search(message):
            known = re.findall(r"[\w-]+", match["known"])
            message = f"{message}.{did_you_mean(match['found'], known)}"
        super().error(message)

    def _refuse(self, words: Sequence[str], command: str | None) -> NoReturn:
        known = [*self._option_string_actions]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and command in action.choices:
                known += action.choices[command]._option_string_actions
        options = [word.partition("=")[0] for word in words if word.startswith("-")]
        hints = "".join(did_you_mean(option, known) for option in options)
        self.error(f"unrecognized arguments: {' '.join(words)}.{hints}")

    def _unknown_leading_option(self, words: Sequence[str]) -> str | None:
        """The first unknown option before the command.

        argparse would take the value after such an option for the command, and complain of that.
        """
        rest = iter(words)
        for word in rest:
            if not word.startswith("-"):
                break
            name, equals, _ = word.partition("=")
            action = self._option_string_actions.get(name)
            if action is None:
                return name
            if action.nargs != 0 and not equals:
                next(rest, None)
        return None
