"""What a trigger does for a task: it ends it, and tells of an array what a single job would tell."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.support import Airflow, until

DAG = "WatchedFlow"


@pytest.fixture(scope="module")
def run(airflow: Airflow) -> str:
    return airflow.trigger(DAG)


def worker_log(airflow: Airflow, run: str, step: str) -> str:
    """What the workers of a task, and they alone, have logged."""
    logs = Path(airflow.standalone.env["AIRFLOW_HOME"]) / "logs"
    file = logs / f"dag_id={DAG}" / f"run_id={run}" / f"task_id={step}" / "attempt=1.log"
    return file.read_text("utf-8")


def test_a_step_that_outlasts_its_worker_takes_no_second_one(airflow: Airflow, run: str) -> None:
    until("plain has succeeded", lambda: airflow.task(DAG, run, "plain")["state"] == "success", 120)
    # What it leaves is what the next step, the links and the client read.
    path = f"/dags/{DAG}/dagRuns/{quote(run)}/taskInstances/plain"
    record = airflow.call("GET", f"{path}/xcomEntries/flow_task")["value"]
    assert (record["status"], record["next"]) == ("succeeded", ["split"])
    links = airflow.call("GET", f"{path}/links")["extra_links"]
    assert "#jobs/detail/" in links["Batch job"]
    assert "log-events" in links["CloudWatch log"]
    log = airflow.log(DAG, run, "plain")
    assert "the last line of plain" in log
    assert f"Task {DAG}/{run}/plain/0 has succeeded" in log
    assert worker_log(airflow, run, "plain").count("Pausing task as DEFERRED") == 1
    assert worker_log(airflow, run, "plain").count("Worker startup parse complete") == 1


def test_an_array_shows_who_has_failed_while_others_run(airflow: Airflow, run: str) -> None:
    def told() -> list[str]:
        task = airflow.task(DAG, run, "body")
        lines = airflow.log(DAG, run, "body") if task["state"] == "deferred" else []
        return lines if any("about to fail" in line for line in lines) else []

    lines = until("the failure is shown before the array ends", told, 180)
    assert any(f"Task {DAG}/{run}/body/1 (attempt 0) failed: ValueError" in line for line in lines)
    assert any("1 of 3 tasks ended; RUNNING 2, FAILED 1" in line for line in lines)
    assert airflow.wait(DAG, run) == "failed"
    shown = [line for line in airflow.log(DAG, run, "body") if "about to fail" in line]
    assert len(shown) == 1, "the worker that ends the task does not show it again"
