from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import timezone
from pathlib import Path

import pytest

from flowsdk import FlowSpec, step
from flowsdk.client import Flow, Metaflow, Run, Step, metadata
from flowsdk.datastore.folder import FolderStorage
from flowsdk.exception import InvalidPathspec, NotFound
from flowsdk.spec import TaskRef
from tests.flowsdk.client.conftest import AIRFLOW_RUN, Recorded
from tests.flowsdk.client.recorded import forget_end, record, store_at


def test_flows_are_found_by_iteration_and_by_name(runs: Recorded) -> None:
    assert Metaflow().flows == [Flow("HelloFlow")]
    assert "HelloFlow" in Metaflow()
    assert Metaflow()["HelloFlow"].id == "HelloFlow"
    with pytest.raises(KeyError, match="Did you mean 'HelloFlow'"):
        Metaflow()["HelloFlo"]


def test_runs_come_newest_first(runs: Recorded) -> None:
    flow = Flow("HelloFlow")
    assert [run.id for run in flow] == [runs.failed, runs.good]
    assert list(flow.runs()) == list(flow)
    assert flow.latest_run == Run(f"HelloFlow/{runs.failed}")
    assert flow.latest_successful_run == flow[runs.good]


def test_a_run_that_succeeded(runs: Recorded) -> None:
    run = Run(f"HelloFlow/{runs.good}")
    assert (run.status, run.successful, run.finished) == ("succeeded", True, True)
    assert run.created_at
    assert run.finished_at
    assert run.created_at < run.finished_at
    assert run.created_at.tzinfo is timezone.utc
    assert run.data.greetings == ["hello ann", "hello bob", "hello cleo"]
    assert run.end_task
    assert run.end_task.pathspec == f"HelloFlow/{runs.good}/end/0"
    assert run.parameters == {"alpha": 0.5}
    assert run.user_tags == {"nightly"}
    assert "runtime:local" in run.system_tags
    assert run.tags == run.user_tags | run.system_tags
    assert run.parent == Flow("HelloFlow")


def test_a_run_that_failed_has_finished(runs: Recorded) -> None:
    run = Run(f"HelloFlow/{runs.failed}")
    assert (run.status, run.successful, run.finished) == ("failed", False, True)
    assert run.finished_at is not None
    assert run.end_task
    assert run.end_task.exception
    assert run.end_task.exception.exception == "alpha is negative"
    with pytest.raises(AttributeError, match="the task failed, and only tasks that succeeded"):
        _ = run.data.greetings


def test_steps_come_newest_first(runs: Recorded) -> None:
    run = Run(f"HelloFlow/{runs.good}")
    assert [found.id for found in run] == ["end", "join", "greet", "start"]
    assert run["greet"] == Step(f"HelloFlow/{runs.good}/greet")
    assert "greet" in run
    assert "great" not in run
    with pytest.raises(KeyError, match="has no step 'great'. Did you mean 'greet'"):
        run["great"]


def test_a_step_has_its_splits(runs: Recorded) -> None:
    greet = Step(f"HelloFlow/{runs.good}/greet")
    assert [task.id for task in greet] == ["2", "1", "0"]
    assert list(greet.tasks()) == list(greet)
    assert greet.task == greet["2"]
    assert greet.created_at
    assert greet.finished_at
    assert greet.finished_at == max(task.finished_at for task in greet)
    assert greet.parent == Run(f"HelloFlow/{runs.good}")
    with pytest.raises(KeyError, match="has no task '7'"):
        greet["7"]


@pytest.mark.parametrize(
    ("kind", "pathspec", "message"),
    [
        (Flow, "HelloFow", "No flow 'HelloFow' in local@.*Did you mean 'HelloFlow'"),
        (Run, "HelloFow/1", "No flow 'HelloFow'"),
        (Run, "HelloFlow/1", "Flow HelloFlow has no run '1'"),
        (Step, "HelloFlow/{good}/strat", "has no step 'strat'. Did you mean 'start'"),
    ],
)
def test_what_does_not_exist_is_named(
    runs: Recorded, kind: type, pathspec: str, message: str
) -> None:
    with pytest.raises(NotFound, match=message):
        kind(pathspec.format(good=runs.good))


@pytest.mark.parametrize("pathspec", ["HelloFlow", "HelloFlow/", "HelloFlow/1/start", "", 7, None])
def test_a_pathspec_must_be_a_text_of_the_right_length(runs: Recorded, pathspec: str) -> None:
    with pytest.raises(InvalidPathspec, match=r"expected (a text: )?flow/run"):
        Run(pathspec)


def test_objects_can_be_pickled(runs: Recorded) -> None:
    for original in (
        Flow("HelloFlow"),
        Run(f"HelloFlow/{runs.good}"),
        Step(f"HelloFlow/{runs.good}/greet"),
    ):
        copy = pickle.loads(pickle.dumps(original))
        assert copy == original
        assert hash(copy) == hash(original)
        assert list(copy) == list(original)


def test_a_run_without_a_noted_end_has_succeeded_once_its_end_step_has(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    record(root, AIRFLOW_RUN)
    metadata(f"local@{root}")
    run = Run(f"HelloFlow/{AIRFLOW_RUN}")
    assert run.status == "succeeded"
    assert run.finished_at == run["end"]["0"].finished_at


def test_a_run_without_a_noted_end_has_failed_once_its_end_step_has(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    record(root, AIRFLOW_RUN, alpha="-1")
    metadata(f"local@{root}")
    run = Run(f"HelloFlow/{AIRFLOW_RUN}")
    assert (run.status, run.finished) == ("failed", True)
    assert run.finished_at == run["end"]["0"].finished_at


def launch_end_again(root: str, name: str) -> None:
    """As a clear of the end step does: an attempt without a result."""
    store = store_at(root)
    spec = store.read_spec(name, TaskRef("end", "0", 0))
    store.write_spec(replace(spec, attempt=1))


def test_a_run_without_a_noted_end_may_still_be_running(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    name = record(root, alpha="-1")
    forget_end(store_at(root), name)
    launch_end_again(root, name)
    metadata(f"local@{root}")
    run = Run(f"HelloFlow/{name}")
    assert (run.status, run.finished, run.finished_at) == ("running", False, None)


def test_a_running_run_is_asked_again(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    name = record(root, alpha="-1")
    store = store_at(root)
    end = store.read_run_end(name)
    assert end
    forget_end(store, name)
    launch_end_again(root, name)
    metadata(f"local@{root}")
    run = Run(f"HelloFlow/{name}")
    assert not run.finished
    store.write_run_end(name, end)
    assert run.finished


def test_runs_are_in_the_order_of_the_times_in_their_ids(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    ids = [
        "manual__2020-01-02T03:04:05+00:00",
        "scheduled__2020-01-02T03:04:05.500000+00:00",
        "asset_triggered__2020-01-02T03:04:06+00:00_aB",
    ]
    for name in ids:
        record(root, name)
    # These say no time, or not that of the run: the document tells.
    for name in ("by-hand", "backfill__2019-01-02T00:00:00+00:00"):
        record(root, name)
    last = record(root)
    metadata(f"local@{root}")
    assert [run.id for run in Flow("HelloFlow")] == [
        last,
        "backfill__2019-01-02T00:00:00+00:00",
        "by-hand",
        *reversed(ids),
    ]


def test_the_newest_run_does_not_cost_a_look_at_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "root")
    for second in range(5):
        record(root, f"manual__2020-01-02T03:04:0{second}+00:00")
    metadata(f"local@{root}")
    read: list[str] = []
    original = FolderStorage.read

    def noting(self: FolderStorage, key: str, *how: int) -> bytes:
        read.append(key)
        return original(self, key, *how)

    monkeypatch.setattr(FolderStorage, "read", noting)
    latest = Flow("HelloFlow").latest_successful_run
    assert latest
    assert latest.id == "manual__2020-01-02T03:04:04+00:00"
    assert all(latest.id in key for key in read)


class OtherNamesFlow(FlowSpec):
    @step(start=True)
    def first(self):
        self.x = 1
        self.next(self.last)

    @step(end=True)
    def last(self):
        self.y = 2


def test_the_last_step_may_have_another_name(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    name = record(root, "manual__1", flow=OtherNamesFlow)
    metadata(f"local@{root}")
    run = Run(f"OtherNamesFlow/{name}")
    assert run.successful
    assert run.data.y == 2


def test_a_step_is_there_before_its_first_task(tmp_path: Path) -> None:
    root = str(tmp_path)
    run = record(root)
    metadata(f"local@{root}")
    (tmp_path / "HelloFlow" / "runs" / run / "later").mkdir()
    found = Run(f"HelloFlow/{run}")
    assert next(iter(found)).id == "later"
    assert list(found["later"]) == []
