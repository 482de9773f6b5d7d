"""Runs of the branches of a project: apart from each other, and each to be resumed anywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flowsdk import FlowSpec, project
from flowsdk.cli.garbage import Collector, Policy
from flowsdk.client import Run, Task, default_metadata, default_namespace, metadata, namespace
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.exception import UsageError
from flowsdk.local.run import locate_run, new_run_id
from flowsdk.spec import TaskRef
from tests.flowsdk.flows import run_flow, write_flow

FLOW = """
import os
from flowsdk import project

@project(name="demo")
class Branched(FlowSpec):
    @step
    def start(self):
        print("started in", current.branch_name)
        self.rows = list(range(1000))
        self.next(self.end)

    @step
    def end(self):
        if os.environ.get("FAIL"):
            raise ValueError("asked to")
        self.told = [len(self.rows), current.flow_name, current.origin_run_id]
        print("told", self.told)

if __name__ == "__main__":
    Branched()
"""
AIRFLOW_RUN = "scheduled__2026-11-20T00:00:00+00:00"


@pytest.fixture(autouse=True)
def _client() -> Iterator[None]:
    yield
    default_metadata()
    default_namespace()


def move(store: FlowDatastore, run: str, flow: str, run_id: str) -> FlowDatastore:
    """Have a laptop's run lie where a deployed branch would have left it."""
    there = FlowDatastore(store.storage, flow)
    there.write_run(replace(store.read_run(run), flow=flow, run=run_id, launcher="airflow"))
    for tasks in store.attempts(run).values():
        for (ref,) in tasks.values():
            there.write_spec(replace(store.read_spec(run, ref), flow=flow, run=run_id))
            result = store.find_result(run, ref)
            if result:
                there.write_result(replace(result, flow=flow, run=run_id))
            for number, chunk in enumerate(store.log_chunks(run, ref)):
                there.write_log_chunk(run_id, ref, number, chunk)
    store.storage.delete(list(store.storage.keys(keys.run(store.flow, run))))
    return there


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A flow file, and a failed run of each of two branches, with one id, beside each other."""
    path = write_flow(tmp_path, FLOW)
    store = FlowDatastore.at(str(tmp_path / ".flowsdk"), "Branched")
    for options, branch in ((["--production"], "prod"), (["--branch", "x"], "test.x")):
        done = run_flow(path, "--quiet", *options, "run", env={"FAIL": "1"})
        assert "asked to" in done.stdout + done.stderr
        (run,) = store.runs()
        move(store, run, f"demo.{branch}.Branched", AIRFLOW_RUN)
    return path.parent


def test_branches_have_runs_of_one_id_and_share_their_data(folder: Path) -> None:
    metadata(f"local@{folder / '.flowsdk'}")
    namespace(None)
    for branch in ("prod", "test.x"):
        task = Task(f"demo.{branch}.Branched/{AIRFLOW_RUN}/start/0")
        assert task.stdout == f"started in {branch}\n"
        assert len(task.data.rows) == 1000
    assert [path.parent.name for path in (folder / ".flowsdk").glob("*/data")] == ["Branched"]


@pytest.mark.parametrize(
    ("options", "origin", "branch"),
    [
        (["--production"], AIRFLOW_RUN, "prod"),
        (["--branch", "x"], AIRFLOW_RUN, "test.x"),
        ([], f"demo.test.x.Branched/{AIRFLOW_RUN}", "test.x"),
    ],
)
def test_a_laptop_resumes_the_run_of_a_branch(
    folder: Path, options: list[str], origin: str, branch: str
) -> None:
    path = folder / "flow.py"
    done = run_flow(path, "--quiet", *options, "resume", "--origin-run-id", origin)
    assert f"told [1000, 'Branched', '{AIRFLOW_RUN}']" in done.stdout, done.stderr
    assert "started in" not in done.stdout
    root = folder / ".flowsdk"
    (run,) = FlowDatastore.at(str(root), "Branched").runs()
    metadata(f"local@{root}")
    namespace(None)
    assert Run(f"Branched/{run}").origin_pathspec == f"demo.{branch}.Branched/{AIRFLOW_RUN}"
    # What the task printed is in the branch's run.
    assert Task(f"Branched/{run}/start/0").stdout == f"started in {branch}\n"


def test_commands_find_the_run_of_a_branch(folder: Path) -> None:
    path = folder / "flow.py"
    logs = run_flow(path, "--quiet", "--production", "logs", f"{AIRFLOW_RUN}/start")
    assert logs.stdout == "started in prod\n", logs.stderr
    spun = run_flow(path, "--quiet", "--branch", "x", "spin", f"{AIRFLOW_RUN}/end")
    assert "told [1000, 'Branched'" in spun.stdout, spun.stderr
    lost = run_flow(path, "--quiet", "resume", "--origin-run-id", AIRFLOW_RUN)
    assert f"flow demo.user.tester.Branched has no run '{AIRFLOW_RUN}'" in lost.stderr


def test_data_that_only_a_branch_refers_to_is_kept(folder: Path) -> None:
    root = folder / ".flowsdk"
    done = run_flow(folder / "flow.py", "--quiet", "run")
    assert "told" in done.stdout
    store = FlowDatastore.at(str(root), "Branched")
    metadata(f"local@{root}")
    namespace(None)
    (run,) = store.runs()
    (gone,) = store.find_results(run, [TaskRef("end", "0", 0)])
    (kept,) = FlowDatastore(store.storage, "demo.prod.Branched").find_results(
        AIRFLOW_RUN, [TaskRef("start", "0", 0)]
    )
    assert gone
    assert kept
    a_decade_on = time.time() + 10 * 365 * 24 * 3600
    garbage = Collector(store, now=a_decade_on).find(Policy(keep_runs=0))
    assert garbage.runs == (run,)
    found = {entry.key for entry in garbage.data}
    assert keys.blob("Branched", gone.artifacts["told"].digest) in found
    assert keys.blob("Branched", kept.artifacts["rows"].digest) not in found


@project(name="demo")
class Located(FlowSpec):
    pass


class Alone(FlowSpec):
    pass


@pytest.mark.parametrize(
    ("flow", "path", "expected"),
    [
        (Alone, "manual__1/start", ("Alone", ["manual__1", "start"])),
        (Alone, "Alone/manual__1", ("Alone", ["manual__1"])),
        (Located, "manual__1", ("demo.prod.Located", ["manual__1"])),
        (Located, "Located/manual__1", ("Located", ["manual__1"])),
        (Located, "demo.test.x.Located/manual__1", ("demo.test.x.Located", ["manual__1"])),
        (Located, "Located", ("demo.prod.Located", ["Located"])),
    ],
)
def test_where_a_run_is(flow: type[FlowSpec], path: str, expected: tuple[str, list[str]]) -> None:
    assert locate_run(flow, path, production=flow is Located) == expected


def test_a_laptops_run_has_the_flows_own_name() -> None:
    run = new_run_id()
    assert locate_run(Located, f"{run}/start", production=True) == ("Located", [run, "start"])
    with pytest.raises(UsageError, match="--branch: found 'X'"):
        locate_run(Located, "manual__1", branch="X")
