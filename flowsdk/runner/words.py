"""Keyword arguments as words of a command line: what ``Runner(…).run(alpha=1)`` means."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from flowsdk.exception import UsageError, did_you_mean

#: Option → what Python calls it, where that is another name: ``with`` is a keyword of Python's, and
#: what may be given repeatedly is a list.
_ALIASES = {"with": ("decospecs",), "tag": ("tags",), "step": ("step_to_rerun",)}


def command_words(
    parser: argparse.ArgumentParser,
    options: Mapping[str, Any],
    command: str,
    separators: Mapping[str, str] | None = None,
) -> list[str]:
    """The words that give options their values.

    Args:
        parser: Of the command.
        options: Values by name, with ``_`` for ``-``. None leaves an option out, a list repeats one
            that may be repeated; of a parameter, a list or a dictionary is its JSON.
        command: What it is called in messages.
        separators: Parameter → what its list is split at.

    Raises:
        UsageError: Names that the command does not know, values that an option cannot have; all
            of them.
    """
    actions = _actions_by_name(parser)
    words: list[str] = []
    positional: dict[int, list[str]] = {}
    problems = []
    for name, value in options.items():
        action = actions.get(name)
        if action is None:
            known = ", ".join(dict.fromkeys(_python_name(each) for each in actions.values()))
            problems.append(
                f"Keyword {name!r} ({command}): found no such option, expected one of {known}."
                f"{did_you_mean(name, [each for each in actions if '-' not in each])}"
            )
        elif value is not None:
            try:
                given = list(_words_of(action, value, (separators or {}).get(name)))
            except ValueError as error:
                problems.append(f"Keyword {name!r} ({command}): found {value!r}, {error}.")
                continue
            if action.option_strings:
                words += given
            else:
                positional[parser._actions.index(action)] = given
    if problems:
        raise UsageError("\n".join(problems))
    return [*words, *(word for _, given in sorted(positional.items()) for word in given)]


def _actions_by_name(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Every name that an option may be given by."""
    found: dict[str, argparse.Action] = {}
    for action in parser._actions:
        if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
            continue
        for option in action.option_strings or (action.dest,):
            name = option.lstrip("-")
            for alias in (name, name.replace("-", "_"), *_ALIASES.get(name, ())):
                found.setdefault(alias, action)
    return found


def _python_name(action: argparse.Action) -> str:
    name = action.option_strings[0].lstrip("-") if action.option_strings else action.dest
    return _ALIASES.get(name, (name.replace("-", "_"),))[0]


def _words_of(action: argparse.Action, value: Any, separator: str | None) -> Iterator[str]:
    """The words that give one option its value.

    Raises:
        ValueError: It cannot have it; the message says what was expected.
    """
    if not action.option_strings:
        yield _text(value, None)
    elif action.nargs == 0:
        yield from _switch(action, value)
    elif not isinstance(action, argparse._AppendAction):
        yield f"{action.option_strings[0]}={_text(value, separator)}"
    else:
        for item in _items(value):
            yield from _occurrence(action, item)


def _switch(action: argparse.Action, value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        raise ValueError("expected True or False")  # noqa: TRY004  # as all that is wrong here
    off = [option for option in action.option_strings if option.startswith("--no-")]
    if value:
        yield action.option_strings[0]
    elif isinstance(action, argparse.BooleanOptionalAction) and off:
        yield off[0]


def _occurrence(action: argparse.Action, item: Any) -> Iterator[str]:
    option = action.option_strings[0]
    if not isinstance(action.nargs, int):
        yield f"{option}={_text(item, None)}"
        return
    if not isinstance(item, (list, tuple)) or len(item) != action.nargs:
        raise ValueError(f"expected {action.nargs} values each time")
    yield option
    for part in item:
        yield _text(part, None)


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [list(item) for item in value.items()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _text(value: Any, separator: str | None) -> str:
    if isinstance(value, str):
        return value
    if separator is None or not isinstance(value, list):
        return json.dumps(value)
    parts = [_text(part, None) for part in value]
    if any(separator in part for part in parts):
        raise ValueError(f"expected elements without {separator!r}, which separates them")
    return separator.join(parts)
