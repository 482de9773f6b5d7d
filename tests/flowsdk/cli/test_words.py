from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

import pytest

from flowsdk.cli.words import count, json_object, not_empty, port, positive, seconds


@pytest.mark.parametrize(
    ("of", "text", "value"),
    [
        (positive, "1", 1),
        (count, "0", 0),
        (port, "65535", 65_535),
        (seconds, "0.5", 0.5),
        (json_object, '{"a": [1]}', {"a": [1]}),
        (not_empty, "user:ann", "user:ann"),
    ],
)
def test_words_become_values(of: Callable[[str], Any], text: str, value: Any) -> None:
    assert of(text) == value


@pytest.mark.parametrize(
    ("of", "text", "expected"),
    [
        (positive, "0", "a whole number above 0"),
        (positive, "1.5", "a whole number above 0"),
        (positive, "٣", "a whole number above 0"),
        (count, "-1", "a whole number"),
        (port, "65536", "a port"),
        (seconds, "0", "a number of seconds above 0"),
        (seconds, "nan", "a number of seconds above 0"),
        (seconds, "soon", "a number of seconds above 0"),
        (json_object, "{", "JSON"),
        (json_object, "[1]", "a JSON object"),
    ],
)
def test_what_is_wrong_with_a_word_is_told_in_a_sentence(
    of: Callable[[str], Any], text: str, expected: str
) -> None:
    with pytest.raises(ArgumentTypeError) as wrong:
        of(text)
    assert str(wrong.value).startswith(f"found {text!r}, expected {expected}")
