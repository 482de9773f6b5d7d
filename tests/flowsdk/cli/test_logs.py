from __future__ import annotations

import re

import pytest

from tests.flowsdk.cli.conftest import Cli, Recorded


def test_both_streams_with_headings_on_stderr(cli: Cli, recorded: Recorded) -> None:
    outcome = cli("--datastore-root", recorded.root, "logs", f"{recorded.good}/start")
    assert outcome.code == 0
    assert outcome.out == "starting with 0.5\na warning\n"
    assert outcome.err.splitlines()[1:] == [
        f"Dumping logs of run_id={recorded.good} step=start task_id=0",
        "stdout",
        "stderr",
    ]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--stdout", "starting with 0.5\n"),
        ("--stderr", "a warning\n"),
        ("--both", "starting with 0.5\na warning\n"),
    ],
)
def test_one_stream(cli: Cli, recorded: Recorded, option: str, expected: str) -> None:
    path = f"{recorded.good}/start/0"
    outcome = cli("--quiet", "--datastore-root", recorded.root, "logs", "show", path, option)
    assert (outcome.code, outcome.out, outcome.err) == (0, expected, "")


def test_all_tasks_of_a_step_in_the_order_of_the_splits(cli: Cli, recorded: Recorded) -> None:
    root = recorded.root
    outcome = cli("--quiet", "--datastore-root", root, "logs", f"{recorded.good}/greet")
    assert outcome.out == "greeting ann\ngreeting bob\ngreeting cleo\n"


def test_an_earlier_attempt_with_times(cli: Cli, recorded: Recorded) -> None:
    options = ["--attempt", "0", "--timestamps"]
    root = recorded.root
    outcome = cli("--quiet", "--datastore-root", root, "logs", f"{recorded.good}/greet/1", *options)
    first, *_, last = outcome.out.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} greeting bob", first)
    assert last.endswith("ValueError: bob does not hear")


def test_a_task_that_failed_has_logs(cli: Cli, recorded: Recorded) -> None:
    root = recorded.root
    outcome = cli("--quiet", "--datastore-root", root, "logs", f"{recorded.failed}/end")
    assert outcome.out.endswith("RuntimeError: alpha is negative\n")


def test_what_has_no_logs(cli: Cli, recorded: Recorded) -> None:
    where = ["--datastore-root", recorded.root, "logs"]
    good = recorded.good
    assert cli(*where, f"{good}/greet/1", "--attempt", "9").code == 1
    assert "has no task '7'" in cli(*where, f"{good}/greet/7").err
    assert cli(*where, f"{good}/start", f"{good}/end").code == 2
    assert cli(*where, f"{good}/start", "--stdout", "--stderr").code == 2
