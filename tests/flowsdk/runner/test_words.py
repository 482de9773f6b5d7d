from __future__ import annotations

import argparse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowsdk.cli.parser import Parser
from flowsdk.exception import UsageError
from flowsdk.runner.words import command_words


@pytest.fixture
def parser() -> Parser:
    parser = Parser()
    parser.add_argument("step", nargs="?")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--pylint", action=argparse.BooleanOptionalAction)
    parser.add_argument("--max-workers", type=int)
    parser.add_argument("--tag", action="append", default=[], dest="tags")
    parser.add_argument("--with", action="append", default=[], dest="with_after")
    parser.add_argument("--config-value", nargs=2, action="append")
    parser.add_argument("--my-list", dest="parameter:my-list")
    parser.add_argument("--doc", dest="parameter:doc")
    return parser


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_workers": 3}, ["--max-workers=3"]),
        ({"max-workers": 3}, ["--max-workers=3"]),
        ({"tags": ["a", "b c"]}, ["--tag=a", "--tag=b c"]),
        ({"tag": "a"}, ["--tag=a"]),
        ({"decospecs": ["retry:times=3"]}, ["--with=retry:times=3"]),
        ({"quiet": True}, ["--quiet"]),
        ({"quiet": False}, []),
        ({"pylint": False}, ["--no-pylint"]),
        ({"pylint": True}, ["--pylint"]),
        ({"doc": {"a": [1, None]}}, ['--doc={"a": [1, null]}']),
        ({"doc": True}, ["--doc=true"]),
        ({"doc": "-5 $(rm) 'x'"}, ["--doc=-5 $(rm) 'x'"]),
        ({"doc": None, "step": None}, []),
        ({"my_list": [1, 2]}, ["--my-list=1,2"]),
        ({"my_list": "1,2"}, ["--my-list=1,2"]),
        ({"step": "train", "max_workers": 1}, ["--max-workers=1", "train"]),
        ({"step_to_rerun": "train"}, ["train"]),
        ({"config_value": {"a": {"b": 1}}}, ["--config-value", "a", '{"b": 1}']),
        ({"config_value": [("a", "1"), ("b", 2)]},
         ["--config-value", "a", "1", "--config-value", "b", "2"]),
    ],
)  # fmt: skip
def test_values_become_words(parser: Parser, options: dict[str, Any], words: list[str]) -> None:
    assert command_words(parser, options, "run", {"my_list": ","}) == words
    parser.parse_args(words)


def test_all_that_is_wrong_is_told_at_once(parser: Parser) -> None:
    wrong = {"max_worker": 3, "quiet": "yes", "config_value": ["a"], "my_list": ["a,b"]}
    with pytest.raises(UsageError) as caught:
        command_words(parser, wrong, "run", {"my_list": ","})
    first, second, third, fourth = str(caught.value).splitlines()
    assert first.startswith("Keyword 'max_worker' (run): found no such option, expected one of ")
    assert "tags, decospecs, config_value" in first
    assert first.endswith("Did you mean 'max_workers'?")
    assert second == "Keyword 'quiet' (run): found 'yes', expected True or False."
    assert "found ['a'], expected 2 values each time" in third
    assert "expected elements without ','" in fourth


@given(st.text().filter(lambda text: "\0" not in text))
def test_any_text_arrives_as_it_is(text: str) -> None:
    parser = Parser()
    parser.add_argument("--doc")
    [word] = command_words(parser, {"doc": text}, "run")
    assert parser.parse_args([word]).doc == text
