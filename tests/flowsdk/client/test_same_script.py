"""One script reads a run of a laptop and a run of an Airflow, row by row of Metaflow's client API."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from flowsdk.client import DataArtifact, Flow, Metaflow, Run, Step, Task, metadata
from flowsdk.record import TaskRecord
from tests.flowsdk.client.conftest import USER
from tests.flowsdk.client.fake_airflow import FakeAirflow, dag_run, serve, task_instance
from tests.flowsdk.client.recorded import record, store_at

FLOW = "HelloFlow"
RUN_ID = "manual__2026-11-21T09:01:00+00:00"


def told(pathspec: str) -> dict[str, Any]:
    """What a script finds out about a run, in what JSON can hold."""
    run = Run(pathspec)
    end = run.end_task
    greet = run["greet"]
    assert end
    return {
        "flows": [flow.id for flow in Metaflow()],
        "latest": Flow(run.parent.id).latest_run == run,
        "latest successful": Flow(run.parent.id).latest_successful_run == run,
        "outcome": [run.status, run.successful, run.finished],
        "parameters": dict(run.parameters),
        "data": [run.data.greetings, sorted(run.data)],
        "steps": [step.id for step in run],
        "tasks": {step.id: [task.id for task in step] for step in run.steps()},
        "attempts": [task.current_attempt for task in greet.tasks()],
        "indices": [task.index for task in greet],
        "artifacts": {
            task.id: {
                artifact.id: [artifact.size, artifact.sha, artifact.type] for artifact in task
            }
            for step in run
            for task in step
        },
        "previews": [task["greeting"].preview for task in greet],
        "logs": [task.stdout for task in greet],
        "lines": [text for _, text in greet["1"].loglines("stdout")],
        "first attempt": str(Task(greet["1"].pathspec, attempt=0).exception),
        "parents": [task.id for task in run["join"]["0"].parent_tasks],
        "children": [task.id for task in run["start"]["0"].child_tasks],
        "around": [
            [step.id for step in greet.parent_steps],
            [step.id for step in greet.child_steps],
        ],
        "user tags": sorted(run.user_tags),
        "in namespace": [end.is_in_namespace(), run.parent.is_in_namespace()],
        "origin": [run.origin_pathspec, end.origin_pathspec],
        "code": run.code,
        "in": ["greet" in run, "nothing" in run, run.id in run.parent],
        "pickled": pickle.loads(pickle.dumps(end)) == end,
    }


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The names of two providers: a folder, and an Airflow whose jobs wrote into the same folder."""
    root = str(tmp_path / "root")
    record(root, RUN_ID, tags=("nightly",))
    store = store_at(root)
    with serve() as server:
        server.dags = [FLOW]
        server.dag_runs = [dag_run(FLOW, RUN_ID, "success", 1)]
        server.dag_runs[0]["triggering_user_name"] = USER
        for step, tasks in store.attempts(RUN_ID).items():
            for task, refs in tasks.items():
                add_instance(server, store, step, task, refs[-1])
        yield f"local@{root}", f"airflow@{server.url}"


def add_instance(server: FakeAirflow, store: Any, step: str, task: str, ref: Any) -> None:
    index = int(task) if step == "greet" else -1
    instance = task_instance(FLOW, RUN_ID, step, "success", index, try_number=ref.attempt + 1)
    server.instances.append(instance)
    found = TaskRecord.of(store.read_result(RUN_ID, ref), store.result_uri(RUN_ID, ref))
    server.records[RUN_ID, step, index] = found.to_dict()


def test_it_finds_the_same(both: tuple[str, str]) -> None:
    answers = []
    for provider in both:
        metadata(provider)
        answers.append(json.loads(json.dumps(told(f"{FLOW}/{RUN_ID}"))))
    assert answers[0] == answers[1]
    assert answers[0]["outcome"] == ["succeeded", True, True]
    assert answers[0]["attempts"] == [0, 1, 0]


@pytest.mark.parametrize("which", [0, 1], ids=["folder", "Airflow"])
def test_what_every_object_has(both: tuple[str, str], which: int) -> None:
    metadata(both[which])
    path = [FLOW, RUN_ID, "greet", "1", "greeting"]
    parent = None
    for depth, kind in enumerate((Flow, Run, Step, Task, DataArtifact), 1):
        found: Any = kind("/".join(path[:depth]))
        assert found.id == path[depth - 1]
        assert found.pathspec == "/".join(path[:depth])
        assert found.path_components == path[:depth]
        assert found.parent == parent
        assert isinstance(found.created_at, datetime)
        assert found.created_at.tzinfo is not None
        assert found.tags == found.user_tags | found.system_tags
        assert found.origin_pathspec is None
        assert found.is_in_namespace()
        assert pickle.loads(pickle.dumps(found)) == found
        if parent is not None:
            assert found in list(parent)
            assert parent[found.id] == found
            assert found.id in parent
            assert found.finished_at >= found.created_at
        parent = found
