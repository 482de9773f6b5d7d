"""Every construct inside every other one, on Airflow as on a laptop: same tasks, same artifacts."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowsdk.client import Run
from flowsdk.client.selection import looking_at
from flowsdk.datastore import keys
from tests.e2e.matrix.cases import cases
from tests.e2e.matrix.constructs import ARRAY
from tests.e2e.support import ENDED, MAX_MAP_LENGTH, Airflow, until
from tests.flowsdk.random_flows.command_line import run_command
from tests.flowsdk.random_flows.oracle import predict
from tests.flowsdk.random_flows.shape import (
    Block,
    Foreach,
    RandomFlow,
    Split,
    Switch,
    all_steps,
    source_of,
    steps_of,
)

FLOWS = {flow.name: flow for flow in cases()}
#: Prints the digests of all artifacts of all tasks of some runs.
READ = """
import json, sys
from flowsdk import Run, namespace
namespace(None)
print(json.dumps({pathspec: {
    f"{step.id}/{task.id}": {artifact.id: artifact.sha for artifact in task}
    for step in Run(pathspec)
    for task in step
} for pathspec in %r}))
"""
Tasks = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def runs(airflow: Airflow, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A run of each flow that is asked for, by name; all begin at once, and all have ended."""
    here = [item for item in request.session.items if item.path == request.path]
    asked = dict.fromkeys(item.callspec.params["name"] for item in here)  # type: ignore[attr-defined]
    files = {name: airflow.dags / f"{name}.py" for name in asked}
    for name, file in files.items():
        file.write_text(source_of(FLOWS[name]), "utf-8")
    try:
        until("all files are parsed", lambda: airflow.dag_ids() >= files.keys(), 600)
        runs = {name: airflow.trigger(name) for name in files}
        body = {"dag_ids": list(runs), "states": sorted(ENDED), "page_limit": 100}

        def ended() -> bool:
            found = airflow.call("POST", "/dags/~/dagRuns/list", body)["dag_runs"]
            return {(run["dag_id"], run["dag_run_id"]) for run in found} >= set(runs.items())

        until("all runs have ended", ended, 1500, every=2)
        yield runs
    finally:
        for file in files.values():
            file.unlink()  # A hundred files more would slow down the parsing of the others.


@pytest.fixture(scope="module")
def found(airflow: Airflow, runs: dict[str, str]) -> dict[str, Tasks]:
    """The tasks of the runs with the digests of their artifacts, read by one client."""
    pathspecs = {f"{name}/{run}": name for name, run in runs.items()}
    read = json.loads(airflow.read_with_client(READ % (list(pathspecs),)))
    return {pathspecs[pathspec]: tasks for pathspec, tasks in read.items()}


def locally(flow: RandomFlow, folder: Path) -> Tasks:
    source = source_of(flow).replace(f"    @{ARRAY}\n", "")  # @batch means AWS, on a laptop, too
    done = run_command(folder, source, "run", "--run-id-file", f"{folder}/id", flow=flow.name)
    assert done.code == 0, done
    with looking_at(f"local@{folder}/store"):
        return {
            f"{step.id}/{task.id}": {artifact.id: artifact.sha for artifact in task}
            for step in Run(f"{flow.name}/{(folder / 'id').read_text('utf-8')}")
            for task in step
        }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FLOWS)
def test_a_run_has_the_tasks_and_artifacts_of_a_laptops(
    airflow: Airflow, runs: dict[str, str], found: dict[str, Tasks], name: str, tmp_path: Path
) -> None:
    assert airflow.run_state(name, runs[name]) == "success", airflow.failures(name, runs[name])
    expected = locally(FLOWS[name], tmp_path)
    assert sorted(expected) == sorted(predict(FLOWS[name]))
    assert sorted(found[name]) == sorted(expected)
    for task, artifacts in expected.items():
        assert found[name][task] == artifacts, task


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FLOWS)
def test_a_run_has_the_task_instances_that_its_shape_asks_for(
    airflow: Airflow, runs: dict[str, str], name: str
) -> None:
    states = Counter(
        (task["task_id"], task["map_index"], task["state"])
        for task in airflow.tasks(name, runs[name])
    )
    assert states == Counter(_task_instances(FLOWS[name]))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["MatrixRetriesInSets", "MatrixRetriesInArray"])
def test_of_a_set_only_what_has_failed_is_tried_again(
    airflow: Airflow, runs: dict[str, str], name: str
) -> None:
    prefix = keys.step(name, runs[name], "inner_body")
    ended = Counter(
        key.removeprefix(prefix).partition("/")[0]
        for key in airflow.keys(prefix)
        if key.endswith("/result.json")
    )
    assert ended == {"0-0": 1, "0-1": 2, "1-0": 1, "1-1": 2}


def _task_instances(flow: RandomFlow) -> Iterator[tuple[str, int, Any]]:
    """Step, map index and state of each task instance of a run."""
    indices: dict[str, list[int]] = {name: [] for name in all_steps(flow)}
    for task in predict(flow):
        step, _, place = task.partition("/")
        indices[step].append(int(place.partition("-")[0].partition(".")[0]))
    mapped = {
        source.step.name: max(indices[element.body[0].head.name], default=-1) + 1
        for element in _outermost_foreaches(flow.block)
        for source in steps_of(element.body, element.join.name)
    }
    for step, ran in indices.items():
        splits = mapped.get(step, 0)
        if not splits:
            yield step, -1, "success" if ran else "skipped"
            continue
        chunk = math.ceil(splits / MAX_MAP_LENGTH)
        for number in range(math.ceil(splits / chunk)):
            any_ran = any(index // chunk == number for index in ran)
            yield step, number, "success" if any_ran else "skipped"


def _outermost_foreaches(block: Block) -> Iterator[Foreach]:
    """Those that Airflow maps."""
    for element in block:
        match element:
            case Foreach(body=body):
                if not any(ARRAY in s.step.decorators for s in steps_of(body, "")):
                    yield element
            case Split(branches=branches) | Switch(branches=branches):
                for branch in branches:
                    yield from _outermost_foreaches(branch)
