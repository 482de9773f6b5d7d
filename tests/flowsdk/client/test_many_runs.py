"""A hundred runs of ten tasks from an Airflow: how many requests they take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from flowsdk.client import Flow, Run, airflow_snapshots, metadata, namespace
from flowsdk.record import TaskRecord
from flowsdk.spec import ArtifactRef, TaskResult
from tests.flowsdk.client.fake_airflow import FakeAirflow, dag_run, serve, task_instance

FLOW = "WideFlow"
RUNS = 100
SPLITS = 7
STEPS = ("start", "body", "join", "end")
MODEL = ArtifactRef("a" * 64, 1234, "numpy.ndarray", "pickle", "body/0/0", preview="array([1])")
SEED = ArtifactRef("b" * 64, 20, "builtins.int", "pickle", "start/0/0")


def record(run: str, step: str, task: str) -> TaskRecord:
    result = TaskResult(
        flow=FLOW,
        run=run,
        step=step,
        task=task,
        attempt=0,
        status="succeeded",
        started_at=f"2026-11-21T09:00:0{STEPS.index(step)}+00:00",
        finished_at="2026-11-21T09:00:09+00:00",
        artifacts={"seed": SEED} | ({"model": MODEL} if step == "body" else {}),
    )
    return TaskRecord.of(result, f"s3://flows/x/{FLOW}/runs/{run}/{step}/{task}/0/result.json")


def add_run(airflow: FakeAirflow, number: int, state: str = "success") -> str:
    run = f"scheduled__2026-11-{number // 24 + 1:02}T{number % 24:02}:00:00+00:00"
    airflow.dag_runs.append(dag_run(FLOW, run, state, number % 60))
    for step in STEPS:
        for index in range(SPLITS) if step == "body" else (-1,):
            airflow.instances.append(task_instance(FLOW, run, step, "success", index))
            task = str(index) if index >= 0 else "0"
            airflow.records[run, step, index] = record(run, step, task).to_dict()
    return run


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with serve() as server:
        server.dags = [FLOW]
        for number in range(RUNS):
            add_run(server, number)
        metadata(f"airflow@{server.url}")
        yield server


def listing(flow: Flow) -> dict[str, dict[str, int]]:
    """Task → artifact → size, of everything there is."""
    return {
        task.pathspec: {artifact.id: artifact.size for artifact in task.artifacts}
        for run in flow
        for step in run
        for task in step
    }


@pytest.mark.parametrize("ns", [None, "user:alice"])
def test_all_tasks_with_names_and_sizes_of_artifacts_take_five_requests(
    airflow: FakeAirflow, ns: str | None
) -> None:
    namespace(ns)
    found = listing(Flow(FLOW))
    assert len(found) == RUNS * 10
    assert found[f"{FLOW}/{airflow.dag_runs[3]['dag_run_id']}/body/2"] == {
        "model": 1234,
        "seed": 20,
    }
    assert len(airflow.take()) <= 5


def test_each_run_is_seen_as_it_was_when_the_loop_began_and_afresh_the_second_time(
    airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace(None)
    runs = list(Flow(FLOW))
    assert runs[0]["end"].task
    airflow.take()
    later = time.monotonic() + 5
    monkeypatch.setattr(airflow_snapshots.time, "monotonic", lambda: later)
    assert runs[1]["end"].task
    assert airflow.take() == []
    later += 5
    assert runs[1]["end"].task
    assert len(airflow.take()) == 2


def test_one_run_out_of_many_is_read_by_itself(airflow: FakeAirflow) -> None:
    namespace(None)
    latest = Flow(FLOW).latest_run
    assert latest
    assert latest.end_task
    asked = [body for body in airflow.bodies if body and "dag_run_ids" in body]
    assert [body["dag_run_ids"] for body in asked] == [[latest.id]]


def test_of_runs_with_very_many_tasks_fewer_are_read_together(
    airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_snapshots, "_AHEAD", 500)
    namespace(None)
    assert len(listing(Flow(FLOW))) == RUNS * 10
    asked = [len(body["dag_run_ids"]) for body in airflow.bodies if body and "dag_run_ids" in body]
    # All at once are too many, so the first is read by itself and the others by twenty-five.
    assert asked == [100, 1, 25, 25, 25, 24]


def test_without_the_plugin_a_loop_reads_run_by_run(airflow: FakeAirflow) -> None:
    airflow.plugin = False
    namespace(None)
    first, second = list(Flow(FLOW))[:2]
    assert len(list(first["body"])) == len(list(second["body"])) == SPLITS
    runs = {path.split("/dagRuns/")[1][:30] for path in airflow.take() if "/xcomEntries" in path}
    assert len(runs) == 2


def test_a_record_that_had_no_room_for_all_artifacts_sends_to_the_result(
    airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace(None)
    run = str(airflow.dag_runs[-1]["dag_run_id"])
    short = replace(record(run, "end", "0"), artifact_count=2)
    airflow.records[run, "end", -1] = short.to_dict()
    task = Run(f"{FLOW}/{run}")["end"].task
    assert task
    full = TaskResult(
        FLOW, run, "end", "0", 0, "succeeded", "", "", artifacts={"seed": SEED, "model": MODEL}
    )
    monkeypatch.setattr("flowsdk.datastore.FlowDatastore.find_result", lambda *_: full)
    assert task.artifact_names() == ["model", "seed"]
    assert task["model"].preview == "array([1])"
