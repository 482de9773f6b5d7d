"""Every shape of flow runs as a DAG as it does on a laptop: the same tasks, the same artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.support import Airflow


@pytest.mark.timeout(900)
def test_switches_loops_and_foreaches_inside_foreaches(airflow: Airflow, tmp_path: Path) -> None:
    run = airflow.trigger("DeepFlow")
    assert airflow.wait("DeepFlow", run, 900) == "success", airflow.failures("DeepFlow", run)
    # Before the laptop submits some of its own.
    parts, letters = airflow.jobs("DeepFlow_part_"), airflow.jobs("DeepFlow_letter_")
    found = airflow.artifacts("DeepFlow", run)
    expected = airflow.artifacts_locally("deep.py", "DeepFlow", tmp_path)
    assert sorted(found) == sorted(expected)
    # What @catch has kept holds a traceback, and the code lies elsewhere.
    assert found["letter/2"].pop("problem") != expected["letter/2"].pop("problem")
    for task, artifacts in expected.items():
        assert found[task] == artifacts, task

    # The one task that failed was tried again, alone.
    names = [job["jobName"] for job in parts]
    assert sum(name.endswith("-g0-0") for name in names) == 2
    assert sum(name.endswith("-g0-1") for name in names) == 1
    # A foreach that is to run as an array is one task instance and one job.
    assert [t["map_index"] for t in airflow.tasks("DeepFlow", run) if t["task_id"] == "letter"] == [
        -1
    ]
    assert len(letters) == 1
    states = {
        (t["task_id"], t["map_index"]): t["state"]
        for t in airflow.tasks("DeepFlow", run)
        if t["task_id"] in ("odd", "even")
    }
    assert states == {
        ("odd", 0): "success",
        ("even", 0): "skipped",
        ("odd", 1): "skipped",
        ("even", 1): "success",
    }
