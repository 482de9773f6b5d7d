"""Commands that have commands of their own: ``tag add``, ``package list`` and so on."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from flowsdk.cli.parser import Parser


def add_actions(parser: argparse.ArgumentParser, summaries: Mapping[str, str]) -> dict[str, Parser]:
    """Give a command actions, one of which must be named; ``args.action`` says which it was.

    Args:
        parser: Of the command.
        summaries: What each action does, by name.

    Returns:
        The parser of each action.
    """
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", title="actions", required=True, parser_class=Parser
    )
    return {
        name: actions.add_parser(
            name, help=summary, description=f"{summary[:1].upper()}{summary[1:]}."
        )
        for name, summary in summaries.items()
    }
