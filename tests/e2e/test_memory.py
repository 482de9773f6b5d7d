"""Jobs that run out of memory: retries that ask for more, and a @catch whose job is gone."""

from __future__ import annotations

import ast
from pathlib import Path

from flowsdk.aws_batch.names import task_prefix
from tests.e2e.support import Airflow

DAG = "HungryFlow"
TOLD = ("flowsdk.aws_batch.OutOfMemory", "before", False)
READ = """
from flowsdk import Run
run = Run({run!r})
print((run.data.told, run['join'].task.data.tries))
"""


def memory_of(airflow: Airflow, prefix: str) -> list[int]:
    """What the jobs whose names begin so asked for, in MiB, in the order of their submission."""
    jobs = sorted(airflow.jobs(prefix), key=lambda job: int(job["createdAt"]))
    found = airflow.client("batch").describe_jobs(jobs=[job["jobId"] for job in jobs])["jobs"]
    by_id = {job["jobId"]: job["container"]["resourceRequirements"] for job in found}
    return [
        int(entry["value"])
        for job in jobs
        for entry in by_id[job["jobId"]]
        if entry["type"] == "MEMORY"
    ]


def test_a_dag(airflow: Airflow) -> None:
    run = airflow.trigger(DAG)
    assert airflow.wait(DAG, run) == "success", airflow.failures(DAG, run)
    printed = airflow.read_with_client(READ.format(run=f"{DAG}/{run}"))
    told, tries = ast.literal_eval(printed)
    assert (told, tries) == (TOLD, [0, 1, 0]), "only what had run out of memory ran again"
    assert memory_of(airflow, task_prefix(DAG, run, "grows", "0")) == [256, 1024]
    assert memory_of(airflow, task_prefix(DAG, run, "dies", "0")) == [256, 256]
    assert airflow.task(DAG, run, "dies")["try_number"] == 2
    log = airflow.log(DAG, run, "dies", 2)
    assert "@catch caught an exception of step 'dies':" in log
    assert "eats" not in log, "the step's code ran again"


def test_a_laptops_run_on_aws_batch(airflow: Airflow, tmp_path: Path) -> None:
    root, file = "s3://flows/laptop", tmp_path / "run"
    airflow.run_locally("hungry.py", "--with", "batch", "--run-id-file", str(file), root=root)
    run = file.read_text().strip()
    printed = airflow.read_with_client(
        READ.format(run=f"{DAG}/{run}"), FLOWSDK_METADATA=root, FLOWSDK_NAMESPACE=""
    )
    assert ast.literal_eval(printed) == (TOLD, [0, 1, 0])
    assert memory_of(airflow, task_prefix(DAG, run, "grows", "1")) == [256, 1024]
