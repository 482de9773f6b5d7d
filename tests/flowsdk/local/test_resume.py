"""Resuming: what is used again, what runs again, and from which run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowsdk import FlowSpec
from flowsdk.datastore import FlowDatastore, keys, open_storage
from flowsdk.exception import UsageError
from flowsdk.local.resume import resume
from flowsdk.local.run import RunOptions
from flowsdk.local.scheduler import Listener
from flowsdk.spec import RunSpec, TaskRef, TaskResult
from tests.flowsdk.flows import import_flow, run_flow, write_flow
from tests.flowsdk.running import Finished, resumed, run

#: Fails in whatever ``fail`` names, and counts every run of a step's code in a file.
FLOW = """
import os
from flowsdk import parallel

class F(FlowSpec):
    alpha = Parameter("alpha", default=1)
    HERE = {here!r}

    def note(self):
        place = current.step_name + "/" + current.task_id
        if os.path.exists(self.HERE + "/fail") and place in open(self.HERE + "/fail").read().split():
            raise ValueError("asked to fail in " + place)

    @step
    def start(self):
        self.note()
        self.big = list(range(1000))
        self.xs = "abc"
        self.next(self.body, foreach="xs")

    @step
    def body(self):
        self.note()
        self.n = getattr(self, "n", 0)
        self.kind = "loop" if self.index == 1 else "plain"
        self.next({{"loop": self.loop, "plain": self.plain}}, condition="kind")

    @step
    def plain(self):
        self.note()
        self.next(self.after)

    @step
    def loop(self):
        self.note()
        self.n += 1
        self.go = self.n < 3
        self.next({{True: self.loop, False: self.after}}, condition="go")

    @step
    def after(self):
        self.note()
        self.y = self.input * self.alpha
        self.next(self.join)

    @step
    def join(self, inputs):
        self.note()
        self.ys = [i.y for i in inputs]
        self.next(self.gang)

    @step
    def gang(self):
        self.note()
        self.next(self.train, num_parallel=2)

    @parallel
    @step
    def train(self):
        self.note()
        self.next(self.trained)

    @step
    def trained(self, inputs):
        self.note()
        self.merge_artifacts(inputs)
        self.next(self.end)

    @step
    def end(self):
        self.note()
        self.origin = current.origin_run_id
        print(self.ys)
"""
FULL = [
    "after/0", "after/1", "after/2", "body/0", "body/1", "body/2", "end/0", "gang/0", "join/0",
    "loop/1", "loop/1.1", "loop/1.2", "plain/0", "plain/2", "start/0", "train/0", "train/1", "trained/0",
]  # fmt: skip


@pytest.fixture
def flow(tmp_path: Path) -> type[FlowSpec]:
    return import_flow(tmp_path, FLOW.format(here=str(tmp_path)))


def failing(folder: Path, *tasks: str) -> None:
    """Let these tasks fail from now on, and no others."""
    (folder / "fail").write_text(" ".join(tasks), "utf-8")


def digests(finished: Finished) -> dict[str, dict[str, str]]:
    return {
        task: {name: ref.digest for name, ref in result.artifacts.items()}
        for task, result in finished.results.items()
    }


@pytest.mark.parametrize(
    ("fails", "runs"),
    [
        ("start/0", FULL),
        ("body/2", ["after/2", "body/2", "plain/2"]),
        ("loop/1.1", ["after/1", "loop/1.1", "loop/1.2"]),
        ("after/1", ["after/1"]),
        ("train/1", ["train/0", "train/1"]),
        ("end/0", []),
    ],
)
def test_only_what_failed_and_what_follows_it_runs_again(
    tmp_path: Path, flow: type[FlowSpec], fails: str, runs: list[str]
) -> None:
    failing(tmp_path, fails)
    first = run(flow, tmp_path, {"alpha": 2}, max_workers=1)
    assert [f"{result.step}/{result.task}" for result in first.failed] == [fails]
    failing(tmp_path)
    second = resumed(flow, tmp_path)
    assert second.succeeded
    assert second.tasks == FULL
    assert sorted([*second.reused, *second.started]) == FULL
    succeeded = {task for task, result in first.results.items() if result.succeeded}
    if not fails.startswith("train"):
        assert set(second.reused) == succeeded
    assert set(runs) <= set(second.started)
    assert fails in second.started
    assert second.value("end/0", "ys") == ["aa", "bb", "cc"]
    assert second.value("end/0", "origin") == first.run


def test_a_reused_task_points_to_what_there_is(tmp_path: Path, flow: type[FlowSpec]) -> None:
    failing(tmp_path, "join/0")
    first = run(flow, tmp_path, {"alpha": 1})
    blobs = set(first.store.storage.keys("F/data/"))
    failing(tmp_path, "join/0")
    second = resumed(flow, tmp_path)
    assert second.started == ["join/0"]
    assert set(second.store.storage.keys("F/data/")) == blobs
    reused = second.results["body/1"]
    assert reused.origin == f"F/{first.run}/body/1/0"
    assert reused.run == second.run
    known = digests(first)
    assert {t: d for t, d in digests(second).items() if t in second.reused} == {
        task: known[task] for task in second.reused
    }
    spec = second.store.read_spec(second.run, reused.ref)
    assert (spec.origin_run, spec.parents) == (first.run, (TaskRef("start", "0", 0),))


def test_a_second_resume_continues_from_the_first(tmp_path: Path, flow: type[FlowSpec]) -> None:
    failing(tmp_path, "after/1")
    first = run(flow, tmp_path, {"alpha": 1}, max_workers=1)
    failing(tmp_path, "gang/0")
    second = resumed(flow, tmp_path)
    assert not second.succeeded
    failing(tmp_path)
    third = resumed(flow, tmp_path)
    assert third.succeeded
    assert third.started == ["gang/0", "train/0", "train/1", "trained/0", "end/0"]
    assert third.value("end/0", "origin") == second.run
    assert third.store.read_run(third.run).origin == f"F/{second.run}"
    # A task says where it really ran, however often it was used since.
    assert third.results["start/0"].origin == f"F/{first.run}/start/0/0"
    assert third.results["after/1"].origin == f"F/{second.run}/after/1/0"


@pytest.mark.parametrize(
    ("step", "runs"),
    [
        ("end", ["end/0"]),
        ("train", ["train/0", "train/1", "trained/0", "end/0"]),
        ("loop", ["loop/1", "loop/1.1", "loop/1.2", "after/1"]),
        ("start", FULL),
    ],
)
def test_a_named_step_and_everything_after_it_runs_again(
    tmp_path: Path, flow: type[FlowSpec], step: str, runs: list[str]
) -> None:
    first = run(flow, tmp_path, {"alpha": 1})
    again = resumed(flow, tmp_path, step)
    assert again.succeeded
    assert set(runs) <= set(again.started)
    after = {"end"} | flow_descendants(flow, step) | {step}
    assert {task.split("/")[0] for task in again.started} == after
    assert again.tasks == first.tasks == FULL


def flow_descendants(flow: type[FlowSpec], step: str) -> frozenset[str]:
    from flowsdk.flow import graph_of

    return graph_of(flow).descendants(step)


def test_a_run_that_succeeded_is_resumed_without_running_anything(
    tmp_path: Path, flow: type[FlowSpec]
) -> None:
    run(flow, tmp_path, {"alpha": 1})
    again = resumed(flow, tmp_path)
    assert (again.succeeded, again.started, sorted(again.reused)) == (True, [], FULL)


def test_attempts_that_came_before_the_success_do_not_count(tmp_path: Path) -> None:
    body = """
    class F(FlowSpec):
        @retry(times=2, minutes_between_retries=0)
        @step
        def start(self):
            assert current.retry_count == 2
            self.x = 1
            self.next(self.end)
        @step
        def end(self):
            raise ValueError(self.x)
    """
    flow = import_flow(tmp_path, body)
    run(flow, tmp_path)
    again = resumed(flow, tmp_path)
    assert again.started == ["end/0"]
    assert again.results["start/0"].attempt == 2
    assert again.results["start/0"].artifacts["x"].origin == "start/0/2"


def airflow_run_of(first: Finished, run_id: str) -> None:
    """The same results as a run under Airflow leaves, with a cleared attempt before each."""
    store = first.store
    spec: RunSpec = store.read_run(first.run)
    store.write_run(replace(spec, run=run_id, launcher="airflow"))
    for task, result in first.results.items():
        step, name = task.split("/")
        of_task = store.read_spec(first.run, result.ref)
        for attempt in (0, 3):
            parents = tuple(replace(ref, attempt=3) for ref in of_task.parents)
            store.write_spec(replace(of_task, run=run_id, attempt=attempt, parents=parents))
        failed = replace(result, run=run_id, status="failed", artifacts={}, next=(), splits=None)
        store.write_result(failed)
        store.write_result(replace(result, run=run_id, attempt=3))
        assert store.find_result(run_id, TaskRef(step, name, 3))


def test_a_run_under_airflow_is_resumed_by_its_id(tmp_path: Path, flow: type[FlowSpec]) -> None:
    failing(tmp_path, "after/1")
    first = run(flow, tmp_path, {"alpha": 3})
    airflow = "scheduled__2026-11-20T00:00:00+00:00"
    airflow_run_of(first, airflow)
    failing(tmp_path)
    again = resumed(flow, tmp_path, origin=airflow)
    assert again.succeeded
    assert again.value("end/0", "origin") == airflow
    assert again.results["start/0"].attempt == 3
    assert again.results["start/0"].origin == f"F/{airflow}/start/0/3"
    assert "after/1" in again.started
    # What is resumed without naming a run is a laptop's, however new those under Airflow are.
    newest = resumed(flow, tmp_path)
    assert newest.store.read_run(newest.run).origin == f"F/{again.run}"


def test_a_run_in_s3_is_resumed_where_it_lies(tmp_path: Path, flow: type[FlowSpec]) -> None:
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto")
    first = run(flow, tmp_path, {"alpha": 1})
    airflow = "manual__2026-11-20T00:00:00+00:00"
    airflow_run_of(first, airflow)
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="flows")
        root = "s3://flows/prefix"
        there = open_storage(root)
        for key in first.store.storage.keys(f"F/runs/{keys.component(airflow)}/"):
            there.write(key, [first.store.storage.read(key)])
        new = resume(flow, RunOptions(root), lambda _, __: None, origin_run=airflow)
        assert new.execute(Listener(lambda _, __: None, lambda _, __: None)).succeeded
        end = new.store.read_result(new.run.run, TaskRef("end", "0", 3))
    assert end.origin == f"F/{airflow}/end/0/3"
    assert end.artifacts == first.results["end/0"].artifacts


def test_a_gang_is_used_again_only_as_a_whole(tmp_path: Path, flow: type[FlowSpec]) -> None:
    failing(tmp_path, "trained/0")
    first = run(flow, tmp_path, {"alpha": 1})
    path = tmp_path / "store" / keys.result("F", first.run, TaskRef("train", "1", 0))
    path.unlink()
    failing(tmp_path)
    assert resumed(flow, tmp_path).started == ["train/0", "train/1", "trained/0", "end/0"]


def test_what_cannot_be_resumed_is_told(tmp_path: Path, flow: type[FlowSpec]) -> None:
    options = RunOptions(str(tmp_path / "store"))
    with pytest.raises(UsageError, match="found no run of flow F on a laptop"):
        resume(flow, options, lambda _, __: None)
    first = run(flow, tmp_path, {"alpha": 1})
    with pytest.raises(UsageError, match=f"no run '{first.run[:-1]}'. Did you mean '{first.run}'"):
        resume(flow, options, lambda _, __: None, origin_run=first.run[:-1])
    with pytest.raises(UsageError, match=r"no step 'jion', expected one of .* Did you mean 'join'"):
        resume(flow, options, lambda _, __: None, step="jion")
    assert FlowDatastore.at(options.root, "F").runs() == [first.run]


def results_of(folder: Path) -> list[TaskResult]:
    store = FlowDatastore.at(str(folder / ".flowsdk"), "F")
    newest = store.runs()[-1]
    refs = [refs[-1] for tasks in store.attempts(newest).values() for refs in tasks.values()]
    return store.read_results(newest, refs)


def test_on_the_command_line(tmp_path: Path) -> None:
    main = "if __name__ == '__main__':\n    F()\n"
    path = write_flow(tmp_path, FLOW.format(here=str(tmp_path)) + main)
    failing(tmp_path, "join/0")
    assert run_flow(path, "run", "--alpha", "2").returncode == 1
    failing(tmp_path)
    done = run_flow(path, "resume", "--tag", "again", "--run-id-file", "id")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert " Using 12 tasks of run 2" in lines[1]
    assert sum("Task is starting" in line for line in lines) == 6
    new = (tmp_path / "id").read_text()
    assert FlowDatastore.at(str(tmp_path / ".flowsdk"), "F").read_run(new).tags == ("again",)
    assert len(results_of(tmp_path)) == len(FULL)
    for arguments, message in (
        (["--alpha", "3"], "the parameters of a resumed run are those of the run that it resumes"),
        (["strat"], "Did you mean 'start' or 'train'?"),
        (["--origin-run-id", "nothing"], "flow F has no run 'nothing'"),
    ):
        refused = run_flow(path, "resume", *arguments)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
