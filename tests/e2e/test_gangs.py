"""Gangs as multi-node jobs: their nodes meet, are tried again together, and end together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.support import Airflow, until


@pytest.mark.timeout(900)
def test_gangs_run_as_on_a_laptop(airflow: Airflow, tmp_path: Path) -> None:
    run = airflow.trigger("GangFlow")
    assert airflow.wait("GangFlow", run, 900) == "success", airflow.failures("GangFlow", run)
    found = airflow.artifacts("GangFlow", run)
    expected = airflow.artifacts_locally("gang.py", "GangFlow", tmp_path)
    assert sorted(found) == sorted(expected)
    # What @catch has kept holds a traceback, and the code lies elsewhere.
    assert found["careful/1"].pop("problem") != expected["careful/1"].pop("problem")
    for task, artifacts in expected.items():
        assert found[task] == artifacts, task

    def nodes(step: str) -> list[int]:
        jobs = airflow.jobs(f"GangFlow_{step}_")
        return sorted(job.get("nodeProperties", {}).get("numNodes", 1) for job in jobs)

    assert nodes("train") == [3, 3]  # the gang has failed once
    assert nodes("pair") == [1, 2]
    assert nodes("careful") == [2]
    instances = [t for t in airflow.tasks("GangFlow", run) if t["task_id"] in ("train", "pair")]
    tries = sorted((t["task_id"], t["map_index"], t["try_number"]) for t in instances)
    assert tries == [("pair", 0, 1), ("pair", 1, 1), ("train", -1, 2)]
    log = "\n".join(airflow.log("GangFlow", run, "train"))
    assert "/train/1 (attempt 0) failed: ValueError: one of them" in log


@pytest.mark.timeout(600)
def test_a_gang_ends_with_its_task(airflow: Airflow) -> None:
    run = airflow.trigger("SleepingGangFlow")
    (job,) = until("the gang has a job", lambda: airflow.jobs("SleepingGangFlow_sleep_"))
    batch = airflow.client("batch")

    def states() -> list[str]:
        ids = [job["jobId"], *(f"{job['jobId']}#{node}" for node in range(2))]
        return [found["status"] for found in batch.describe_jobs(jobs=ids)["jobs"]]

    until("both nodes run", lambda: states() == ["RUNNING"] * 3)
    airflow.mark("SleepingGangFlow", run, "sleep", "failed")
    until("no node runs on", lambda: states() == ["FAILED"] * 3)
