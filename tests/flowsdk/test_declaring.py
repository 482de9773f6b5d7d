"""What authors are told whose flow file cannot even be imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk import Config, IncludeFile, Parameter
from flowsdk.decorators.card import Card
from flowsdk.decorators.retry import Retry, retry
from flowsdk.decorators.timeout import Timeout
from flowsdk.exception import ConfigError, DecoratorError, ParameterError
from tests.flowsdk.flows import run_flow, write_flow

FLOW = """
from flowsdk import Config, IncludeFile, StepMutator, user_step_decorator

class F(FlowSpec):
    {member}

    {decorator}
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    F()
"""


@pytest.mark.parametrize(
    ("member", "decorator", "headline", "message"),
    [
        ("", '@retry(times="three")', "Decorator error:",
         "@retry ({}:8): times='three', expected a whole number, 0 or more."),
        ("", "@retry(tims=3)", "Decorator error:",
         "@retry ({}:8): found attribute 'tims', expected times, minutes_between_retries, "
         "on_oom. "
         "Did you mean 'times'?"),
        ("x = Parameter('x', typ=int)", "", "Parameter error:", "Parameter 'x' ({}:6): found argument 'typ'"),
        ("x = IncludeFile('x', is_txt=1)", "", "Parameter error:", "IncludeFile 'x' ({}:6): found argument"),
        ("x = Config('x', defalt=1)", "", "Config error:", "Config 'x' ({}:6): found argument 'defalt'"),
        ("x = retry(lambda self: 1)", "", "Decorator error:", "@retry ({}:6): found on '<lambda>'"),
        ("", "@step", "Decorator error:", "@step decorates 'start' twice ({}:"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_told_with_its_line_and_without_traceback(
    tmp_path: Path, member: str, decorator: str, headline: str, message: str
) -> None:
    flow = write_flow(tmp_path, FLOW.format(member=member, decorator=decorator))
    done = run_flow(flow, "run")
    assert done.returncode == 1
    assert done.stdout == ""
    first, *rest = done.stderr.splitlines()
    assert first == headline
    assert len(rest) == 1
    assert message.format(flow) in rest[0]


@pytest.mark.parametrize(
    ("body", "last"),
    [
        ("raise ValueError('mine')", "ValueError: mine"),
        ("from flowsdk.exception import DecoratorError\nraise DecoratorError('mine')", "mine"),
        ("from flowsdk import Run\nRun('a')", "'a'"),
        ("def f(): raise ValueError('mine')\nx = Parameter('x', default=f)\nx.default()", "mine"),
    ],
)
def test_all_other_errors_keep_their_traceback(tmp_path: Path, body: str, last: str) -> None:
    done = run_flow(write_flow(tmp_path, body))
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert last in done.stderr.splitlines()[-1]


def test_a_module_that_the_script_imports_keeps_its_traceback(tmp_path: Path) -> None:
    write_flow(tmp_path, "x = Parameter('x', typ=int)", "base.py")
    done = run_flow(write_flow(tmp_path, "import base"))
    assert "Traceback" in done.stderr
    assert f"Parameter 'x' ({tmp_path / 'base.py'}:3): found argument 'typ'" in done.stderr


@pytest.mark.parametrize(
    ("kind", "error"), [(Parameter, ParameterError), (IncludeFile, ParameterError), (Config, ConfigError)]
)  # fmt: skip
def test_near_misses_of_arguments(kind: type, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"'x' \(.*test_declaring.py:\d+\): .* Did you mean 'help'"):
        kind("x", hlp="?")


def test_a_decorator_is_the_same_wherever_it_is_written() -> None:
    one = Retry(times=1)
    other = Retry(times=1)
    assert one == other
    assert one.location != other.location
    assert hash(one) == hash(other)
    assert one != Retry(times=2)


def test_attributes_may_be_numbers_as_text() -> None:
    assert Retry(times="3", minutes_between_retries="0.5").attributes == {
        "times": 3,
        "minutes_between_retries": 0.5,
        "on_oom": None,
    }
    assert Timeout(minutes="1.5", seconds=5).total_seconds == 95
    assert Card(timeout="60").attributes["timeout"] == 60
    with pytest.raises(DecoratorError, match="timeout='soon', expected seconds, more than 0"):
        Card(timeout="soon")
    for wrong in ("", "x", "1.5", "true", "NaN", "-1", True, None, 1.5):
        with pytest.raises(DecoratorError, match="expected a whole number"):
            retry(times=wrong)


def test_a_decorator_of_the_command_line_has_no_place(tmp_path: Path) -> None:
    flow = write_flow(tmp_path, FLOW.format(member="", decorator=""))
    done = run_flow(flow, "--quiet", "--with", "retry:tims=3", "run")
    assert "@retry: found attribute 'tims'" in done.stderr
