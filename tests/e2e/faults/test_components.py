"""Airflow's components go and come back while jobs are out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.faults.proxy import Gate
from tests.e2e.faults.support import FaultyAirflow, Run, until

pytestmark = pytest.mark.timeout(1200)


def test_a_triggerer_that_is_killed_and_restarted_with_fifty_jobs_out(
    faulty: FaultyAirflow, tmp_path: Path
) -> None:
    run = faulty.run("WideFlow", tmp_path / "wide", width=50)

    def out() -> bool:
        bodies = [task for task in faulty.tasks("WideFlow", run.id) if task["task_id"] == "body"]
        return len(bodies) == 25 and {task["state"] for task in bodies} == {"deferred"}

    until("all have deferred", out)
    until("all jobs run", lambda: sum(run.traces().values()) == 50)
    with faulty.without("triggerer"):
        run.release(*(f"go-{number}" for number in range(30)))
        until("many have ended", lambda: sum(run.results("body").values()) == 30)
    run.release("go")
    assert run.wait() == "success"
    assert run.traces() == {f"body-{number}": 1 for number in range(50)}
    assert run.artifacts("join", "joined") == [list(range(50))]
    assert all(run.names("body", str(part)) == ["g0-0"] for part in range(25))
    tasks = faulty.tasks("WideFlow", run.id)
    assert {task["try_number"] for task in tasks} == {1}
    assert run.records() == {"start": 1, "body": 25, "join": 1, "end": 1}
    run.nothing_left()


@contextmanager
def at_three_points(
    faulty: FaultyAirflow, folder: Path, name: str
) -> Iterator[tuple[Run, Run, Run, Gate]]:
    """Two runs whose first task has deferred, and one whose first worker is held after SubmitJob."""
    deferred = faulty.run("FanFlow", folder / f"{name}-deferred")
    ended = faulty.run("FanFlow", folder / f"{name}-ended")
    for run in (deferred, ended):
        run.until_state("start", "deferred")
    submitting = faulty.run("FanFlow", folder / f"{name}-submitting")
    with faulty.aws.hold("batch:SubmitJob", submitting.prefix("start"), after=True) as gate:
        gate.wait()
        yield deferred, ended, submitting, gate


def test_a_scheduler_that_is_killed_and_restarted(faulty: FaultyAirflow, tmp_path: Path) -> None:
    with at_three_points(faulty, tmp_path, "scheduler") as (deferred, ended, submitting, _):
        with faulty.without("scheduler"):
            ended.release("go-start", "go-body")
            until("its job has ended", lambda: ended.results("start"))
            time.sleep(5)
            submitting.release("go-body")
    deferred.release("go-start", "go-body")
    submitting.release("go-start")
    for run in (deferred, ended, submitting):
        run.went_through()


def test_an_api_server_that_is_away_for_half_a_minute(
    faulty: FaultyAirflow, tmp_path: Path
) -> None:
    # With Airflow's default. A scheduler that takes a worker for dead meanwhile starts another try. If
    # both end within one of its rounds it sees one end only, and a task of the LocalExecutor stays
    # queued for ever (Airflow 3.3.2, ``process_executor_events``).
    patience = {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300"}
    with faulty.with_settings("scheduler", **patience):
        with at_three_points(faulty, tmp_path, "api") as (deferred, ended, submitting, gate):
            with faulty.without("api-server"):
                gate.opened.set()
                ended.release("go-start", "go-body")
                time.sleep(30)
        for run in (deferred, submitting):
            run.release("go-start", "go-body")
        for run in (deferred, ended, submitting):
            run.went_through()
