from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from flowsdk.cli.main import main
from flowsdk.client import Flow, Run, default_metadata, default_namespace, metadata, namespace
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.spec import TaskRef
from tests.flowsdk.client.recorded import forget_end, record

DAY = 24 * 3600


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A datastore that everything lies in for a year already, as soon as ``aged`` has been called."""
    root = str(tmp_path / "root")
    monkeypatch.setenv("FLOWSDK_DATASTORE", root)
    yield root
    default_metadata()
    default_namespace()


def aged(root: str, days: float = 365) -> None:
    then = time.time() - days * DAY
    for folder, _, names in os.walk(root):
        for name in names:
            os.utime(Path(folder) / name, (then, then))


def collect(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, object]:
    assert main(["gc", "--json", *options]) == 0
    facts: dict[str, object] = json.loads(capsys.readouterr().out)
    return facts


def runs(root: str) -> list[str]:
    return FlowDatastore.at(root, "HelloFlow").runs()


def values(run: str) -> object:
    namespace(None)
    return [task.data.greeting for task in Run(f"HelloFlow/{run}")["greet"]]


def test_without_limits_no_run_goes_and_nothing_that_is_referred_to(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = record(root)
    store = FlowDatastore.at(root, "HelloFlow")
    orphan = store.blobs.put([b"nobody refers to this"])
    aged(root)
    assert collect(capsys)["data"] == 1
    assert not store.storage.exists(keys.blob("HelloFlow", orphan))
    assert values(run) == ["hello cleo", "hello bob", "hello ann"]
    assert collect(capsys) == {
        "flow": "HelloFlow", "removed": True, "runs": [], "documents": 0, "data": 0, "bytes": 0,
        "too_young": 0,
    }  # fmt: skip


def test_the_newest_runs_stay_with_all_they_refer_to(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = record(root, alpha="0.25"), record(root, alpha="0.75")
    aged(root)
    planned = collect(capsys, "--keep-runs", "1", "--dry-run")
    assert planned["runs"] == [old]
    assert runs(root) == [old, new], "a dry run removes nothing"
    done = collect(capsys, "--keep-runs", "1")
    assert done == {**planned, "removed": True}
    assert runs(root) == [new]
    assert values(new) == ["hello cleo", "hello bob", "hello ann"]
    assert collect(capsys, "--keep-runs", "1")["bytes"] == 0
    collect(capsys, "--keep-runs", "0")
    left = [path for path in Path(root).rglob("*") if path.is_file()]
    assert left == []


def test_what_tasks_were_launched_with_together_goes_with_their_run(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = record(root), record(root)
    storage = FlowDatastore.at(root, "HelloFlow").storage
    gone, kept = (
        keys.set_specs("HelloFlow", run, "0.0", TaskRef("greet", "0", 0)) for run in (old, new)
    )
    for key in (gone, kept):
        storage.write(key, [b"specs"])
    aged(root)
    assert collect(capsys, "--keep-runs", "1")["runs"] == [old]
    assert list(storage.keys("HelloFlow/sets/")) == [kept]


def test_a_place_without_flows_is_told(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc"]) == 0
    assert capsys.readouterr() == ("", f"There are no flows in {root}.\n")


def test_age_and_number_have_to_agree(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = [record(root) for _ in range(2)]
    aged(root)
    assert collect(capsys, "--older-than", "1h")["runs"] == []
    time.sleep(0.01)
    both = ["--older-than", "0h", "--keep-runs", "1", "--dry-run"]
    assert collect(capsys, *both)["runs"] == made[:1]
    assert collect(capsys, "--older-than", "0h", "--dry-run")["runs"] == made[::-1]


def test_tagged_runs_stay_on_request(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    record(root, tags=("best",))
    plain = record(root)
    assert collect(capsys, "--keep-runs", "0", "--keep-tag", "best", "--dry-run")["runs"] == [plain]


def test_a_run_that_goes_on_stays(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = record(root)
    forget_end(FlowDatastore.at(root, "HelloFlow"), run)
    end = FlowDatastore.at(root, "HelloFlow").result_uri(run, TaskRef("end", "0", 0))
    Path(end).unlink()
    aged(root, days=10)
    assert collect(capsys, "--keep-runs", "0")["runs"] == []
    assert len(values(run)) == 3  # type: ignore[arg-type]
    aged(root, days=15)
    assert collect(capsys, "--keep-runs", "0")["runs"] == [run], "it was killed long ago"


def test_a_run_that_was_killed_goes(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = record(root)
    storage = FlowDatastore.at(root, "HelloFlow").storage
    end = keys.result("HelloFlow", run, TaskRef("end", "0", 0))
    storage.delete([keys.run_end("HelloFlow", run), end])
    assert collect(capsys, "--keep-runs", "0")["runs"] == [], "it was heard of a moment ago"
    aged(root, days=0.01)
    assert collect(capsys, "--keep-runs", "0")["runs"] == [run]
    assert list(storage.entries(keys.runs("HelloFlow"))) == []


def test_what_only_an_unreadable_run_refers_to_stays(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = record(root)
    storage = FlowDatastore.at(root, "HelloFlow").storage
    storage.write(keys.run_document("HelloFlow", run), [b'{"schema_version":1}'])
    aged(root)
    before = list(storage.keys(""))
    found = collect(capsys, "--keep-runs", "0")
    assert (found["runs"], found["data"]) == ([], 0)
    assert list(storage.keys("")) == before


def test_what_is_young_or_used_again_stays(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    blobs = FlowDatastore.at(root, "HelloFlow").blobs
    record(root)
    contents = [b"small", os.urandom(300_000)]
    for content in contents:
        blobs.put([content])
    aged(root)
    for content in contents:  # a task stores the same, and has no result yet
        blobs.put([content])
    facts = collect(capsys)
    assert (facts["data"], facts["too_young"]) == (0, 2)


def test_a_code_package_stays_with_its_run(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = record(root)
    store = FlowDatastore.at(root, "HelloFlow")
    used, unused = keys.code("HelloFlow", "a" * 64), keys.code("HelloFlow", "b" * 64)
    for key in (used, unused):
        store.storage.write(key, [b"code"])
    spec = replace(store.read_run(run), code=used)
    store.storage.write(keys.run_document("HelloFlow", run), [spec.to_json()])
    aged(root)
    assert collect(capsys)["data"] == 1
    assert store.storage.exists(used)
    assert not store.storage.exists(unused)


def test_a_run_that_starts_meanwhile_loses_nothing(
    root: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shares every value with a run that goes."""
    old = record(root)
    aged(root)
    started: list[str] = []
    listed = Flow.runs

    def runs_then_start(flow: Flow, *tags: str):
        yield from listed(flow, *tags)
        metadata(f"local@{root}")
        started.append(record(root))

    monkeypatch.setattr(Flow, "runs", runs_then_start)
    assert collect(capsys, "--keep-runs", "0")["runs"] == [old]
    monkeypatch.undo()
    metadata(f"local@{root}")
    assert values(started[0]) == ["hello cleo", "hello bob", "hello ann"]


def test_what_people_see(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = record(root)
    assert main(["gc", "--keep-runs", "0", "--dry-run", "--flow", "HelloFlow"]) == 0
    first, later, last = capsys.readouterr().out.splitlines()
    assert first.startswith("HelloFlow: 1 run and 0 blobs would be removed, ")
    assert "more blobs will go later: used in the last day" in later
    assert last == f"    run {run}"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--flow", "HeloFlow"], 1, "Did you mean 'HelloFlow'"),
        (["--older-than", "soon"], 2, "expected an age such as 12h, 30d or 8w"),
        (["--keep-runs", "-1"], 2, "found '-1', expected a"),
        (["--keep-run", "1"], 2, "Did you mean '--keep-runs'"),
    ],
)
def test_wrong_use(
    root: str, capsys: pytest.CaptureFixture[str], options: list[str], code: int, message: str
) -> None:
    record(root)
    assert main(["gc", *options]) == code
    assert message in capsys.readouterr().err
