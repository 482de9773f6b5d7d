from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from flowsdk.cli.logs import scrub
from flowsdk.datastore import FlowDatastore
from flowsdk.runtime.logs import LogLine, make_chunk, parse_chunk
from flowsdk.spec import TaskRef
from tests.flowsdk.cli.conftest import Cli, Recorded
from tests.flowsdk.client.recorded import record


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


def test_as_json(cli: Cli, recorded: Recorded) -> None:
    outcome = cli("--datastore-root", recorded.root, "logs", f"{recorded.good}/start", "--json")
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [(line["stream"], line["text"]) for line in lines] == [
        ("stdout", "starting with 0.5"),
        ("stderr", "a warning"),
    ]
    assert lines[0]["pathspec"] == f"HelloFlow/{recorded.good}/start/0"


def test_scrubbing_replaces_the_log_of_the_attempt_that_counts(cli: Cli, tmp_path: Path) -> None:
    root, run = _own_run(tmp_path)
    where = ["--quiet", "--datastore-root", root, "logs"]
    path = f"{run}/greet/1"
    assert cli(*where, "scrub", path).code == 0
    note = "[scrubbed by tester]\n"
    assert cli(*where, path).out == note * 2
    assert "ValueError: bob" in cli(*where, path, "--attempt", "0").out
    assert cli(*where, f"{run}/greet/0").out == "greeting ann\n"
    assert cli(*where, "scrub", path, "--all").code == 0
    assert cli(*where, path, "--attempt", "0").out == note * 2


def test_scrubbing_one_stream_leaves_the_other(cli: Cli, tmp_path: Path) -> None:
    root, run = _own_run(tmp_path)
    where = ["--datastore-root", root, "logs"]
    outcome = cli(*where, "scrub", f"{run}/start", "--stderr")
    assert f"Logs scrubbed: HelloFlow/{run}/start/0, attempt 0\n" in outcome.err
    shown = cli("--quiet", *where, f"{run}/start").out
    assert shown == "starting with 0.5\n[scrubbed by tester]\n"


def test_no_line_of_a_long_log_survives(tmp_path: Path) -> None:
    store = FlowDatastore.at(str(tmp_path), "F")
    ref = TaskRef("a", "0", 0)
    for number in range(3):
        lines = [LogLine(number, "stdout", "secret"), LogLine(number, "stderr", "kept")]
        store.write_log_chunk("1", ref, number, make_chunk(lines))
    scrub(store, "1", ref, ["stdout"])
    left = [line for chunk in store.log_chunks("1", ref) for line in parse_chunk(chunk)]
    assert [line.text for line in left if line.stream == "stderr"] == ["kept"] * 3
    assert len([line for line in left if line.stream == "stdout"]) == 1
    assert "secret" not in {line.text for line in left}


def test_a_task_that_runs_is_scrubbed_only_on_request(cli: Cli, tmp_path: Path) -> None:
    root, run = _own_run(tmp_path)
    store = FlowDatastore.at(root, "HelloFlow")
    ref = TaskRef("start", "0", 1)
    spec = store.read_spec(run, TaskRef("start", "0", 0))
    store.write_spec(replace(spec, run="7", attempt=1))
    store.write_run(replace(store.read_run(run), run="7"))
    store.write_log_chunk("7", ref, 0, make_chunk([LogLine(1, "stdout", "so far")]))
    where = ["--quiet", "--datastore-root", root, "logs"]
    refused = cli(*where, "scrub", "7/start")
    assert (refused.code, "--include-not-done" in refused.err) == (1, True)
    assert cli(*where, "scrub", "7/start", "--include-not-done").code == 0
    assert "so far" not in cli(*where, "7/start").out


def _own_run(tmp_path: Path) -> tuple[str, str]:
    root = str(tmp_path / "own")
    return root, record(root)
