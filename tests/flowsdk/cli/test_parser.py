from __future__ import annotations

import pytest

from flowsdk.cli.actions import add_actions
from flowsdk.cli.commands import Command, CommandLine
from flowsdk.cli.parser import Parser


@pytest.fixture
def parser() -> Parser:
    """``prog [--quiet] get|tag …``, where ``tag`` has actions."""
    parser = Parser(prog="prog")
    parser.add_argument("--quiet", action="store_true")
    commands = parser.add_subparsers(dest="command")
    get = commands.add_parser("get")
    get.add_argument("path")
    get.add_argument("file", nargs="?")
    get.add_argument("--id")
    add_actions(commands.add_parser("tag"), {"add": "add tags"})["add"].add_argument("--run-id")
    return parser


@pytest.mark.parametrize(
    "words",
    ["get P F --id x", "get P --id x F", "get --id x P F", "get --id=x P F"],
)
def test_options_may_stand_between_other_words(parser: Parser, words: str) -> None:
    found = parser.parse_args(words.split())
    assert (found.path, found.file, found.id) == ("P", "F", "x")


def test_the_word_that_may_be_missing_may_be_missing(parser: Parser) -> None:
    assert parser.parse_args(["get", "P"]).file is None


@pytest.mark.parametrize(
    ("words", "usage", "message"),
    [
        ("get P --quiet", "prog get", "arguments: --quiet. Give --quiet before get."),
        ("get P F G", "prog get", "arguments: G."),
        ("get P --idd x", "prog get", "arguments: --idd x. Did you mean '--id'?"),
        ("get", "prog get", "required: path"),
        ("get P --id -x", "prog get", "one argument. Give a value that begins with '-' as OPT"),
        ("--id x get P", "prog", "arguments: --id. Give --id after get."),
        ("--quite get P", "prog", "arguments: --quite. Did you mean '--quiet'?"),
        ("tag --run-id 1 add", "prog tag", "arguments: --run-id. Give --run-id after add."),
        ("tag add --run 1", "prog tag add", "Did you mean '--run-id'?"),
    ],
)
def test_what_is_wrong_is_told_with_the_usage_of_the_command(
    parser: Parser, words: str, usage: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parser.parse_args(words.split())
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"usage: {usage} [")
    assert message in err


def test_an_option_of_a_command_that_is_not_imported_yet_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = CommandLine(Parser(prog="prog"), {"gc": Command("flowsdk.cli.gc", "clean up")})
    with pytest.raises(SystemExit):
        line.parse(["--dry-run", "gc"])
    assert "Give --dry-run after gc." in capsys.readouterr().err
