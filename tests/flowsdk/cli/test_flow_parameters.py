from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk import FlowSpec, IncludeFile, JSONType, Parameter, step
from flowsdk.cli.flow_parameters import add_parameters, given_parameters
from flowsdk.cli.parser import Parser

HERE = Path(__file__).name


class EveryKindFlow(FlowSpec):
    colour = Parameter("colour", default="red", choices=["red", "dark blue"], help="of the roof")
    letter = Parameter("letter", choices=[chr(code) for code in range(97, 123)])
    share = Parameter("share", default=0.5, min=0, max=1)
    most = Parameter("most", type=int, max=9, required=True, help="100%")
    is_new = Parameter("is-new", default=False)
    settings = Parameter("settings", type=JSONType, default={"a": [None, True, "ü"]})
    parts = Parameter("parts", default=["x", "y"], type=str, separator=",")
    now = Parameter("now", default=lambda context: context.user_name)
    hidden = Parameter("hidden", default="secret", show_default=False)
    data = IncludeFile("data", default=HERE)

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


@pytest.mark.parametrize(
    "line",
    [
        "--colour TEXT of the roof (one of red, dark blue; default: red)",
        "--letter TEXT (one of a, b, c, d, e, f, g, h, i, j, ...)",
        "--share FLOAT (0 to 1; default: 0.5)",
        "--most INT 100% (at most 9; required)",
        "--is-new TRUE|FALSE (default: False)",
        '--settings JSON (default: {"a": [null, true, "ü"]})',
        "--parts TEXT,... (default: x,y)",
        "--now TEXT (default: computed when the run starts)",
        "--hidden TEXT --data",
        f"--data FILE (default: {HERE})",
    ],
)
def test_help_says_what_can_be_given_and_what_is_there_already(line: str) -> None:
    parser = Parser(prog="prog")
    add_parameters(parser, EveryKindFlow)
    assert line in " ".join(parser.format_help().split())


def test_only_what_was_given_is_passed_on() -> None:
    parser = Parser(prog="prog")
    assert "is-new" in add_parameters(parser, EveryKindFlow)
    given = given_parameters(parser.parse_args(["--is-new", "yes", "--most", "3"]))
    assert given == {"is-new": "yes", "most": "3"}
