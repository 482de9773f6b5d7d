from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.flowsdk.cli.conftest import Cli, Outcome, Recorded
from tests.flowsdk.client.recorded import record


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two runs of one's own in the default datastore, the second one tagged ``nightly``."""
    monkeypatch.setenv("FLOWSDK_USER", "tester")
    root = str(tmp_path / ".flowsdk")
    return [record(root), record(root, tags=("nightly",))]


def tags(cli: Cli, *options: str) -> list[str]:
    outcome = cli("--quiet", "tag", "list", *options)
    assert outcome.code == 0, outcome.err
    return outcome.out.splitlines()


def test_adding_and_removing(cli: Cli, runs: list[str]) -> None:
    def change(*words: str) -> Outcome:
        return cli("tag", words[0], "--run-id", runs[1], *words[1:])

    assert change("add", "good", "best").out == f"Tags of run {runs[1]}: best, good, nightly\n"
    assert change("remove", "good", "never there").code == 0
    assert tags(cli, "--run-id", runs[1], "--hide-system-tags") == ["best", "nightly"]
    replaced = change("replace", "--remove", "nightly", "--remove", "best", "--add", "old")
    assert replaced.out == f"Tags of run {runs[1]}: old\n"
    assert tags(cli, runs[0], "--hide-system-tags") == []


def test_listing(cli: Cli, runs: list[str]) -> None:
    assert tags(cli, "--hide-system-tags") == ["nightly"]
    assert "user:tester" in tags(cli)
    assert tags(cli, "--hide-system-tags", "--group-by-tag") == ["nightly", f"    {runs[1]}"]
    assert tags(cli, "--hide-system-tags", "--group-by-run") == [runs[1], "    nightly", runs[0]]
    assert tags(cli, "--my-runs", "--hide-system-tags", "--flat") == ["nightly"]
    as_json = json.loads("".join(tags(cli, "--json")))
    assert list(as_json) == runs[::-1]
    assert as_json[runs[1]]["user_tags"] == ["nightly"]
    assert "user:tester" in as_json[runs[1]]["system_tags"]


def test_runs_of_others_are_not_ones_own(
    cli: Cli, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWSDK_USER", "somebody else")
    assert tags(cli, "--all", "--hide-system-tags") == ["nightly"]
    assert cli("--quiet", "tag", "list", "--my-runs", "--flat").out == ""
    refused = cli("tag", "add", "--run-id", runs[0], "--namespace", "user:nobody", "x")
    assert (refused.code, "user:nobody" in refused.err) == (1, True)
    assert cli("tag", "add", "--run-id", runs[0], "--namespace", "user:tester", "x").code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["add", "x"], 2, "--run-id"),
        (["add", "--run-id", "RUN"], 2, "TAG"),
        (["add", "--run-id", "a/b", "x"], 2, "expected a run id"),
        (["add", "--run-id", "nope", "x"], 1, "has no run 'nope'"),
        (["add", "--run-id", "RUN", "x" * 501], 1, "expected 1 to 500 characters"),
        (["remove", "--run-id", "RUN", "runtime:local"], 1, "system tag"),
        (["replace", "--run-id", "RUN", "--add", "x"], 2, "--remove"),
        (["list", "RUN", "--all"], 2, "Leave all but one out"),
        (["list", "--all", "--my-runs"], 2, "not allowed with"),
        (["ad"], 2, "Did you mean 'add'"),
    ],
)
def test_wrong_use(cli: Cli, recorded: Recorded, words: list[str], code: int, message: str) -> None:
    given = [recorded.good if word == "RUN" else word for word in words]
    outcome = cli("--datastore-root", recorded.root, "tag", *given)
    assert outcome.code == code
    assert message in outcome.err


def test_a_run_that_cannot_be_read_is_left_out(
    cli: Cli, runs: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    document = tmp_path / ".flowsdk" / "HelloFlow" / "runs" / runs[1] / "run.json"
    assert json.loads(document.read_text())["run"] == runs[1]
    document.write_text("{")
    assert list(json.loads(cli("--quiet", "tag", "list", "--json").out)) == [runs[0]]
    assert f"Run HelloFlow/{runs[1]} is left out: RunSpec is not JSON" in caplog.text
    refused = cli("--quiet", "tag", "list", runs[1])
    assert (refused.code, "RunSpec is not JSON" in refused.err) == (1, True)
