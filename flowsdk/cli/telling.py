"""What a command says: sentences for people, or one JSON value for scripts."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


class Teller:
    """Prints sentences for people, or one JSON value for scripts."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._json = getattr(args, "json", None) is True
        self._quiet = args.quiet

    def __call__(self, text: str, *, always: bool = False) -> None:
        """A line, unless JSON is asked for. Quiet leaves only those that are ``always`` wanted."""
        if not self._json and (always or not self._quiet):
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def result(self, value: Any) -> None:
        """The JSON value, if it is asked for."""
        if self._json:
            sys.stdout.write(f"{json.dumps(value)}\n")
