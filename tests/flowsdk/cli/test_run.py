"""``run`` as scripts and people see it; what runs do is tested in ``tests/flowsdk/local``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from flowsdk import FlowSpec, Parameter, current, step
from flowsdk.cli.ending import exit_code
from flowsdk.cli.progress import JsonReporter
from flowsdk.client import Flow, default_namespace, get_namespace, namespace
from flowsdk.spec import RunSpec
from tests.flowsdk.cli.conftest import Cli


class SmallFlow(FlowSpec):
    """Two steps."""

    size = Parameter("size", default=2, min=0, help="how much; 100% is fine")
    shade = Parameter("shade", default="dark", choices=["dark", "light"], show_default=False)

    @step
    def start(self):
        print("size is", self.size)
        self.seen_namespace = (current.namespace, get_namespace())
        self.xs = range(self.size)
        self.next(self.part, foreach="xs")

    @step
    def part(self):
        if self.input == 5:
            print("five", file=sys.stderr)
            raise LookupError("five is too many")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.merge_artifacts(inputs, include=["seen_namespace"])
        self.next(self.end)

    @step
    def end(self):
        pass


def newest() -> Any:
    namespace(None)
    run = Flow("SmallFlow").latest_run
    default_namespace()  # tasks are forks of this process
    return run


def events(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_json_tells_every_event_on_a_line_of_its_own(cli: Cli) -> None:
    outcome = cli("--quiet", "run", "--json", flow=SmallFlow)
    assert (outcome.code, outcome.err) == (0, "")
    told = events(outcome.out)
    assert told[0]["event"] == "run_started"
    assert told[0]["run_id"] == newest().id
    assert told[-1] == {"event": "run_ended", "time": told[-1]["time"], "status": "succeeded"}
    started = [event["step"] for event in told if event["event"] == "task_started"]
    assert started == ["start", "part", "part", "join", "end"]
    [log] = [event for event in told if event["event"] == "log"]
    assert (log["step"], log["task"], log["stream"], log["text"]) == (
        "start", "0", "stdout", "size is 2",
    )  # fmt: skip
    [first] = [e for e in told if e["event"] == "task_ended" and e["step"] == "start"]
    assert (first["status"], first["splits"], first["error"]) == ("succeeded", 2, None)


def test_json_of_a_failure_and_the_error_for_people(cli: Cli) -> None:
    outcome = cli("--quiet", "run", "--json", "--size", "6", flow=SmallFlow)
    assert outcome.code == 1
    told = events(outcome.out)
    assert told[-1]["status"] == "failed"
    [failed] = [e for e in told if e["event"] == "task_ended" and e["status"] == "failed"]
    assert failed["error"]["type"] == "builtins.LookupError"
    assert failed["error"]["message"] == "five is too many"
    assert outcome.err.splitlines()[-1] == "LookupError: five is too many"


def test_quiet_leaves_what_tasks_print(cli: Cli) -> None:
    outcome = cli("--quiet", "run", flow=SmallFlow)
    assert (outcome.code, outcome.err) == (0, "")
    [line] = outcome.out.splitlines()
    assert line.endswith("] size is 2")


def test_files_tell_which_run_it_is(cli: Cli, tmp_path: Path) -> None:
    options = ["--run-id-file", "id", "--runner-attribute-file", "attributes.json"]
    assert cli("run", *options, "--tag", "a", "--tag", "b", flow=SmallFlow).code == 0
    run = newest()
    assert (tmp_path / "id").read_text() == run.id
    assert json.loads((tmp_path / "attributes.json").read_text()) == {
        "flow_name": "SmallFlow",
        "run_id": run.id,
        "metadata": f"local@{tmp_path / '.flowsdk'}",
    }
    assert run.user_tags == {"a", "b"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".id")] == []


def test_the_namespace_is_what_steps_look_in(cli: Cli) -> None:
    assert cli("run", flow=SmallFlow).code == 0
    assert newest().data.seen_namespace == ("user:tester", "user:tester")
    assert cli("run", "--namespace", "project:x", flow=SmallFlow).code == 0
    assert newest().data.seen_namespace == ("project:x", "project:x")


def test_splits_are_limited_on_request_only(cli: Cli) -> None:
    assert cli("--quiet", "run", "--size", "4", "--max-num-splits", "4", flow=SmallFlow).code == 0
    refused = cli("--quiet", "run", "--size", "5", "--max-num-splits", "4", flow=SmallFlow)
    assert refused.code == 1
    assert "splits into 5 tasks, expected at most 4" in refused.err


def test_a_long_log_is_cut_on_the_way(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class ChattyFlow(FlowSpec):
        @step
        def start(self):
            for _ in range(30):
                print("x" * 100_000)
            self.next(self.end)

        @step
        def end(self):
            print("the end")

    outcome = cli("--quiet", "run", "--max-log-size", "1", flow=ChattyFlow)
    assert outcome.code == 0
    assert 900_000 < len(outcome.out) < 1_100_000
    assert "[the rest of the log is left out: it is longer than 1000000 bytes]" in outcome.out
    assert outcome.out.rstrip().endswith("the end"), "the limit is each task's"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "many"], "Parameter 'size': found 'many', expected int"),
        (["--size", "-1"], "expected at least 0"),
        (["--shade", "dar"], "Did you mean 'dark'"),
        (["--sise", "1"], "Did you mean '--size'"),
        (["--max-workers", "0"], "found '0', expected a whole number above 0"),
        (["--max-log-size", "x"], "found 'x', expected a whole number above 0"),
        (["--namespace", ""], "expected a tag"),
        (["--tag", ""], "--tag: Tag '': found nothing, expected 1 to 500 characters"),
        (["--run-id-file", "no/such/folder/id"], "Name a file that can be written"),
        (["--runner-attribute-file", "/"], "--runner-attribute-file /"),
        (["extra"], "unrecognized arguments: extra"),
    ],
)
def test_usage_errors_end_with_2_and_nothing_runs(
    cli: Cli, tmp_path: Path, options: list[str], message: str
) -> None:
    outcome = cli("run", *options, flow=SmallFlow)
    assert outcome.code == 2
    assert message in outcome.err
    assert not (tmp_path / ".flowsdk").exists()


def test_every_wrong_parameter_is_told(cli: Cli) -> None:
    outcome = cli("run", "--size", "x", "--shade", "y", flow=SmallFlow)
    assert outcome.code == 2
    assert "'size'" in outcome.err
    assert "'shade'" in outcome.err


@pytest.mark.parametrize("interrupted", [False, True])
def test_scripts_are_told_of_the_end_of_a_run_that_did_not_come_to_one(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    if interrupted:

        def press_ctrl_c(self: JsonReporter, *_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(JsonReporter, "ended", press_ctrl_c)
    outcome = cli("--quiet", "run", "--json", "--max-num-splits", "1", flow=SmallFlow)
    assert outcome.code == (130 if interrupted else 1)
    last = json.loads(outcome.out.splitlines()[-1])
    assert (last["event"], last["status"]) == ("run_ended", "failed")


class LikeOptionsFlow(FlowSpec):
    """Its parameters are called as options are."""

    a = Parameter("json", default=1)
    b = Parameter("command", default="x")
    c = Parameter("datastore-root", default="y")
    d = Parameter("origin-run-id", default="z")
    e = Parameter("step", default="w")

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        print(self.a, self.b, self.c, self.d, self.e)


def test_parameters_may_be_called_as_options_are(cli: Cli) -> None:
    words = [
        "--json",
        "3",
        "--command",
        "C",
        "--datastore-root",
        "D",
        "--origin-run-id",
        "O",
        "--step",
        "S",
    ]
    outcome = cli("--quiet", "--datastore-root", "here", "run", *words, flow=LikeOptionsFlow)
    assert outcome.code == 0, outcome.err
    assert outcome.out.endswith("3 C D O S\n")
    outcome = cli("--quiet", "--datastore-root", "here", "resume", "end", flow=LikeOptionsFlow)
    assert outcome.code == 0, outcome.err
    assert outcome.out.endswith("3 C D O S\n")
    outcome = cli("resume", "--command", "C", flow=LikeOptionsFlow)
    assert outcome.code == 2
    assert "those of the run that it resumes" in outcome.err


def test_help_shows_parameters_and_their_defaults(cli: Cli) -> None:
    out = " ".join(cli("run", "--help", flow=SmallFlow).out.split())
    assert "--size INT how much; 100% is fine (at least 0; default: 2)" in out
    assert "default: dark" not in out, "show_default=False"
    assert (
        cli("help", "run", flow=SmallFlow).out.split()
        == cli("run", "--help", flow=SmallFlow).out.split()
    )
    assert cli("help", "rn", flow=SmallFlow).code == 2


def test_more_failures_than_people_read_are_counted() -> None:
    from flowsdk.cli.progress import failure_text
    from flowsdk.spec import ErrorInfo, TaskResult

    error = ErrorInfo("user", "builtins.ValueError", "no")
    failed = tuple(
        TaskResult("F", "1", "a", str(n), 0, "failed", "", "", error=error) for n in range(7)
    )
    text = failure_text(failed)
    assert text.startswith("7 tasks failed, of which 5 are shown.\n")
    assert text.count("builtins.ValueError: no") == 5


@pytest.mark.parametrize(
    ("given", "code", "err"),
    [(None, 0, ""), (0, 0, ""), (7, 7, ""), ("no data today", 1, "no data today\n")],
)
def test_what_sys_exit_was_given_decides(
    given: object, code: int, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave() -> int:
        sys.exit(given)  # type: ignore[arg-type]

    assert exit_code(leave) == code
    assert capsys.readouterr().err == err


def test_a_reporter_is_told_of_tasks_that_are_used_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from flowsdk.cli.progress import JsonReporter, PlainReporter
    from flowsdk.spec import TaskResult

    reused = [TaskResult("F", "2", "a", str(n), 0, "succeeded", "", "") for n in range(2)]
    PlainReporter(sys.stdout).reused("1", reused)
    assert capsys.readouterr().out.endswith("Using 2 tasks of run 1 again.\n")
    reporter = JsonReporter(sys.stdout)
    reporter.begin(RunSpec("F", "2", {}, None, "f.py", "ann", "", "local"))
    reporter.reused("1", reused)
    assert events(capsys.readouterr().out)[1]["tasks"] == ["a/0", "a/1"]
