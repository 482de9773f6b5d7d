"""One job for each task, whatever happens to those who wait for it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_flowprovider.records import RECORD_KEY
from flowsdk.aws_batch.names import task_prefix
from tests.e2e.support import Airflow, until

DAG = "WaitingFlow"


class Run:
    """A run of WaitingFlow whose steps a test lets go one by one."""

    def __init__(self, airflow: Airflow, key: str) -> None:
        self.airflow = airflow
        self.key = key
        self.id = airflow.trigger(DAG, {"key": key})

    def jobs(self, step: str = "start", task: str = "0") -> list[dict[str, str]]:
        """All jobs of a task, of whatever generation."""
        found = self.airflow.jobs(task_prefix(DAG, self.id, step, task))
        return [
            {"id": job["jobId"], "name": job["jobName"], "status": job["status"]} for job in found
        ]

    def release(self, *suffixes: str) -> None:
        for suffix in suffixes or ("",):
            key = f"switches/{self.key}{suffix}"
            self.airflow.client("s3").put_object(Bucket="flows", Key=key, Body=b"")

    def start(self) -> dict[str, object]:
        return self.airflow.task(DAG, self.id, "start")

    def job_runs(self) -> dict[str, str]:
        def found() -> dict[str, str] | None:
            running = [job for job in self.jobs() if job["status"] == "RUNNING"]
            return running[0] if running else None

        return until("the job is running", found, every=0.1)

    def is_deferred(self) -> None:
        until("start has deferred", lambda: self.start()["state"] == "deferred")

    def has_logged(self, beginning: str) -> bool:
        lines = self.airflow.log(DAG, self.id, "start")
        return any(line.startswith(beginning) for line in lines)

    def result_attempts(self, step: str) -> set[str]:
        """Numbers of the attempts of task 0 that have a result."""
        keys = self.airflow.keys(f"{DAG}/runs/{self.id}/{step}/0/")
        return {key.split("/")[-2] for key in keys if key.endswith("result.json")}


@pytest.fixture
def run(airflow: Airflow, tmp_path: Path) -> Iterator[Run]:
    run = Run(airflow, f"{tmp_path.name}-{time.time_ns()}")
    yield run
    with contextlib.suppress(AssertionError):
        airflow.call("PATCH", f"/dags/{DAG}/dagRuns/{run.id}", {"state": "failed"})
    run.release("", "-one", "-two")


def kill_worker(pid: int) -> None:
    """SIGKILL for the process that runs a task and for the one that supervises it."""
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert "airflow" in Path(f"/proc/{parent}/cmdline").read_text()
    for victim in (parent, pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)


def test_a_worker_killed_after_submitting_leaves_its_job_to_the_next(
    airflow: Airflow, run: Run
) -> None:
    job = run.job_runs()
    task = run.start()
    assert task["state"] == "running", "the worker deferred before it could be killed"
    kill_worker(int(str(task["pid"])))
    until("the task is tried again", lambda: run.start()["try_number"] == 2)
    run.is_deferred()
    assert run.jobs() == [job]
    assert any("Adopted Batch job" in line for line in airflow.log(DAG, run.id, "start", 2))
    run.release("", "-one", "-two")
    assert airflow.wait(DAG, run.id) == "success"
    assert [found["id"] for found in run.jobs()] == [job["id"]]
    assert run.result_attempts("start") == {"0"}
    assert "waiting" in airflow.log(DAG, run.id, "start", 2)


def test_clearing_a_successful_task_runs_it_again(airflow: Airflow, run: Run) -> None:
    run.release("", "-one", "-two")
    assert airflow.wait(DAG, run.id) == "success"
    first = run.jobs()
    assert [job["status"] for job in first] == ["SUCCEEDED"]
    airflow.clear(DAG, run.id, "start")
    until("it runs again", lambda: airflow.run_state(DAG, run.id) in ("queued", "running"))
    assert airflow.wait(DAG, run.id) == "success"
    jobs = run.jobs()
    assert len(jobs) == 2
    assert {"-g0-0", "-g1-1"} == {job["name"][-5:] for job in jobs}
    assert run.result_attempts("start") == {"0", "1"}


@pytest.mark.parametrize("how", ["mark", "clear"])
def test_whoever_ends_a_deferred_task_ends_its_job(airflow: Airflow, run: Run, how: str) -> None:
    job = run.job_runs()
    run.is_deferred()
    # Before that, Airflow itself has nobody to tell.
    until("the trigger runs", lambda: run.has_logged("trigger WaitingFlow/"))
    if how == "mark":
        airflow.mark(DAG, run.id, "start", "failed")
    else:
        airflow.clear(DAG, run.id, "start")

    def status() -> str:
        return next(found["status"] for found in run.jobs() if found["id"] == job["id"])

    until("the job has been terminated", lambda: status() == "FAILED", seconds=30)
    if how == "mark":
        assert run.start()["state"] == "failed"
        assert len(run.jobs()) == 1
    else:
        run.release("", "-one", "-two")
        assert airflow.wait(DAG, run.id) == "success"
        assert len(run.jobs()) == 2


def test_a_task_cleared_in_the_moment_of_its_deferral_runs_once_more_and_alone(
    airflow: Airflow, run: Run
) -> None:
    job = run.job_runs()
    run.is_deferred()
    airflow.clear(DAG, run.id, "start")
    until("there is a second job", lambda: len(run.jobs()) == 2)
    until(
        "the first has been terminated",
        lambda: {"id": job["id"], "name": job["name"], "status": "FAILED"} in run.jobs(),
        seconds=30,
    )
    run.release("", "-one", "-two")
    assert airflow.wait(DAG, run.id) == "success"
    assert len(run.jobs()) == 2


def test_marking_a_running_task_failed_ends_its_job(airflow: Airflow, run: Run) -> None:
    job = run.job_runs()
    assert run.start()["state"] == "running", "the worker deferred too early"
    airflow.mark(DAG, run.id, "start", "failed")
    until(
        "the job has been terminated",
        lambda: {found["status"] for found in run.jobs()} == {"FAILED"},
        seconds=30,
    )
    assert run.start()["state"] == "failed"
    assert [found["id"] for found in run.jobs()] == [job["id"]]


def test_splits_have_names_while_they_are_deferred(airflow: Airflow, run: Run) -> None:
    run.release()

    def deferred() -> dict[int, object] | None:
        splits = [task for task in airflow.tasks(DAG, run.id) if task["task_id"] == "body"]
        if len(splits) < 2 or {split["state"] for split in splits} != {"deferred"}:
            return None
        return {split["map_index"]: split["rendered_map_index"] for split in splits}

    assert until("both splits have deferred", deferred) == {0: "one", 1: "two"}
    run.release("-two")
    until(
        "the second has ended",
        lambda: airflow.task(DAG, run.id, "body", 1)["state"] == "success",
    )
    assert airflow.task(DAG, run.id, "body", 0)["state"] == "deferred"
    run.release("-one")
    assert airflow.wait(DAG, run.id) == "success"
    rows = airflow.sql("select task_id from xcom where run_id=? and key=?", run.id, RECORD_KEY)
    assert sorted(row[0] for row in rows) == ["body", "body", "end", "join", "start"]
