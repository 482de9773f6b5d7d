"""What a user sees of the splits of a foreach while they are at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_flowprovider.records import RECORD_KEY
from tests.e2e.support import Airflow, until

DAG = "WaitingFlow"


@pytest.fixture
def release(airflow: Airflow, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Lets steps of WaitingFlow go on; returns the key that the run is to wait for."""
    key = f"{tmp_path.name}-{time.time_ns()}"

    def switch(*suffixes: str) -> str:
        for suffix in suffixes:
            name = f"switches/{key}{suffix}"
            airflow.client("s3").put_object(Bucket="flows", Key=name, Body=b"")
        return key

    yield switch
    switch("", "-one", "-two")


def test_splits_have_names_while_they_are_deferred(
    airflow: Airflow, release: Callable[..., str]
) -> None:
    run = airflow.trigger(DAG, {"key": release("")})

    def deferred() -> dict[int, object] | None:
        splits = [task for task in airflow.tasks(DAG, run) if task["task_id"] == "body"]
        if len(splits) < 2 or {split["state"] for split in splits} != {"deferred"}:
            return None
        return {split["map_index"]: split["rendered_map_index"] for split in splits}

    assert until("both splits have deferred", deferred) == {0: "one", 1: "two"}
    release("-two")
    until(
        "the second has ended",
        lambda: airflow.task(DAG, run, "body", 1)["state"] == "success",
    )
    assert airflow.task(DAG, run, "body", 0)["state"] == "deferred"
    release("-one")
    assert airflow.wait(DAG, run) == "success"
    rows = airflow.sql("select task_id from xcom where run_id=? and key=?", run, RECORD_KEY)
    assert sorted(row[0] for row in rows) == ["body", "body", "end", "join", "start"]
