"""Words of a command line as values. Each function says what is wrong with a word in a sentence."""

from __future__ import annotations

import argparse
import json
from typing import Any


def positive(text: str) -> int:
    """A whole number above 0."""
    return _number(text, 1, "a whole number above 0")


def count(text: str) -> int:
    """A whole number, 0 or more."""
    return _number(text, 0, "a whole number")


def port(text: str) -> int:
    """A TCP port, or 0 for any."""
    return _number(text, 0, "a port: 0 to 65535", 65_535)


def seconds(text: str) -> float:
    """A time above 0, in seconds."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:  # nor is nan
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of seconds above 0")
    return number


def json_object(text: str) -> dict[str, Any]:
    """A JSON object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected JSON ({error})") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a JSON object: {{...}}")
    return value


def not_empty(text: str) -> str:
    """A tag."""
    if not text:
        raise argparse.ArgumentTypeError("expected a tag, such as user:ann")
    return text


def _number(text: str, least: int, expected: str, most: float = float("inf")) -> int:
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}")
    return int(text)
