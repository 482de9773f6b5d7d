from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flowsdk import FlowSpec, __version__, step
from flowsdk.cli import run, show
from flowsdk.exception import DatastoreError
from tests.flowsdk.cli.conftest import Cli
from tests.flowsdk.client import hello_flow
from tests.flowsdk.flows import run_flow, write_flow


class BrokenFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.edn)

    @step
    def alone(self):
        self.next(self.end)

    @step
    def end(self):
        pass


def test_without_a_command_the_flow_is_checked(cli: Cli) -> None:
    outcome = cli()
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.splitlines() == [
        f"flowsdk {__version__} executing HelloFlow for user:tester",
        "Validating your flow...",
        "    The graph looks good!",
        "",
        "'python hello_flow.py show' shows a description of this flow.",
        "'python hello_flow.py run' runs the flow locally.",
        "'python hello_flow.py help' shows all available commands and options.",
    ]
    assert cli("check") == outcome
    assert cli("--quiet", "check").err == ""


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('alpha = Parameter("max-workers")', "Parameter 'max-workers' (Wrong.alpha, "),
        ('alpha = Parameter("a", default="x", type=int)', "found 'x', expected int"),
    ],
)
def test_parameters_are_checked_too(tmp_path: Path, wrong: str, message: str) -> None:
    body = f"""
    class Wrong(FlowSpec):
        {wrong}
        @step
        def only(self):
            pass
    if __name__ == "__main__":
        Wrong()
    """
    done = run_flow(write_flow(tmp_path, body), "check")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_problems_of_the_graph_and_of_parameters_are_told_together(tmp_path: Path) -> None:
    body = """
    class Wrong(FlowSpec):
        alpha = Parameter("max-workers")
        beta = Parameter("b", default="x", type=int)
        @step
        def start(self):
            self.next(self.edn)
        @step
        def end(self):
            pass
    if __name__ == "__main__":
        Wrong()
    """
    done = run_flow(write_flow(tmp_path, body), "--quiet", "check")
    assert done.returncode == 1
    first, count, *problems = done.stderr.splitlines()
    assert (first, count.strip()) == ("The flow has problems:", "3 problems in the flow:")
    assert ["self.edn" in problems[0], "'max-workers'" in problems[1], "'b'" in problems[2]] == [
        True
    ] * 3
    assert len(problems) == 3


@pytest.mark.parametrize("command", ["check", "run"])
def test_every_problem_is_listed_with_its_place(cli: Cli, command: str) -> None:
    outcome = cli(command, flow=BrokenFlow)
    assert outcome.code == 1
    assert "The flow has problems:" in outcome.err
    places = [line.strip() for line in outcome.err.splitlines() if f"{__file__}:" in line]
    assert len(places) == 2
    assert "self.edn" in places[0]
    assert "'alone'" in places[1]
    assert "The graph looks good" not in outcome.err


def test_show(cli: Cli) -> None:
    outcome = cli("show")
    assert outcome.code == 0
    assert outcome.out == (
        "\nSays hello to everybody.\n\nIt does so in splits.\n"
        "\nStep start\n    Whom to greet.\n    => greet\n"
        "\nStep greet\n    ?\n    => join\n"
        "\nStep join\n    ?\n    => end\n"
        "\nStep end\n    ?\n"
    )


def test_version_and_help(cli: Cli) -> None:
    assert cli("version").out == f"{__version__}\n"
    outcome = cli("help")
    assert outcome.code == 0
    assert "Says hello to everybody." in outcome.out
    assert cli("--help").out == outcome.out
    assert "--alpha FLOAT" in cli("run", "--help").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shwo"], "invalid choice: 'shwo'.*Did you mean 'show'"),
        (["--quite", "show"], "unrecognized arguments: --quite. Did you mean '--quiet'"),
        (["--metdata", "local@x", "dump", "1/2"], "Did you mean '--metadata'"),
        (["--datastore-rot=x", "show"], "Did you mean '--datastore-root'"),
        (["--datastore", "s3x", "show"], "argument --datastore: invalid choice"),
        (["run", "--alhpa", "3"], "unrecognized arguments: --alhpa 3. Did you mean '--alpha'"),
        (["run", "--max-worker", "3"], "Did you mean '--max-workers'"),
        (["dump"], "arguments are required: RUN/STEP"),
        (["--datastore", "s3", "show"], "Set FLOWSDK_DATASTORE, or pass --datastore-root"),
        (["--datastore", "s3", "--datastore-root", "x", "show"], "contradict each other"),
        (["--datastore", "local", "--datastore-root", "s3://b/p", "show"], "contradict each other"),
    ],
)
def test_a_wrong_command_line_ends_with_2(cli: Cli, arguments: list[str], message: str) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert re.search(message, outcome.err, re.DOTALL), outcome.err


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """What ``run`` is called with, instead of running."""
    calls: list[argparse.Namespace] = []

    def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
        calls.append(args)
        return 0

    monkeypatch.setattr(run, "execute", execute)
    return calls


def test_decorators_before_and_after_run(cli: Cli, seen: list[argparse.Namespace]) -> None:
    assert cli("--with", "retry:times=5", "run", "--with", "resources:memory=99").code == 0
    assert [repr(decorator) for decorator in seen[0].decorators] == [
        "@retry(times=5)",
        "@resources(memory=99)",
    ]
    assert cli("run").code == 0
    assert seen[1].decorators == []


def test_an_unknown_decorator(cli: Cli) -> None:
    outcome = cli("run", "--with", "retyr")
    assert outcome.code == 1
    assert "Decorator error:" in outcome.err
    assert "Did you mean 'retry'" in outcome.err


def test_the_datastore_that_is_asked_for(
    cli: Cli,
    seen: list[argparse.Namespace],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    cli("run")
    cli("--datastore-root", "elsewhere", "run")
    monkeypatch.setenv("FLOWSDK_DATASTORE", "s3://bucket/prefix")
    cli("run")
    cli("--datastore", "s3", "run")
    cli("--datastore", "local", "run")
    here = str(tmp_path / ".flowsdk")
    s3 = "s3://bucket/prefix"
    assert [args.datastore_root for args in seen] == [here, "elsewhere", s3, s3, here]


def test_errors_of_the_platform_end_with_1(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
        raise DatastoreError("The disk is full.\nDelete something.")

    monkeypatch.setattr(show, "execute", execute)
    outcome = cli("--quiet", "show")
    assert outcome.code == 1
    assert outcome.err == "Datastore error:\n    The disk is full.\n    Delete something.\n"


def test_an_interrupt_ends_with_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(show, "execute", execute)
    assert cli("--quiet", "show").code == 130


def test_only_the_chosen_command_is_imported(tmp_path: Path) -> None:
    code = (
        "import runpy, sys; sys.argv = ['hello_flow.py', 'show']\n"
        f"try: runpy.run_path({str(hello_flow.__file__)!r}, run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*sorted(name for name in sys.modules if name.startswith('flowsdk.')))"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = done.stdout.splitlines()[-1].split()
    assert "flowsdk.cli.show" in imported
    assert not {"flowsdk.cli.run", "flowsdk.cli.dump", "flowsdk.client"} & set(imported)


def _python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[3])
    return subprocess.run(
        [sys.executable, str(hello_flow.__file__), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_flow_file_is_a_program(tmp_path: Path) -> None:
    run = _python("run", "--run-id-file", "id", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.rstrip().endswith("Done!")
    assert "greeting cleo" in run.stdout
    assert "    The graph looks good!\n" in run.stderr
    run_id = (tmp_path / "id").read_text()
    dump = _python("--quiet", "dump", f"{run_id}/join", "--include", "greetings", cwd=tmp_path)
    assert "= ['hello ann', 'hello bob', 'hello cleo']" in dump.stdout
    assert _python("run", "--alpha", "-1", cwd=tmp_path).returncode == 1


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    code = f"{sys.executable} {hello_flow.__file__} show | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipeError" not in done.stderr
