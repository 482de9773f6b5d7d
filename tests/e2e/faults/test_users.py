"""Users clear and mark tasks at any moment, and delete runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tests.e2e.faults.support import FaultyAirflow, Run, until

pytestmark = pytest.mark.timeout(1200)
FAN = {"start": 1, "body-0": 1, "body-1": 1, "body-2": 1}
CODE = {"start": ["start"], "body": ["body-0", "body-1", "body-2"]}


def has_triggered(run: Run, step: str) -> bool:
    """Whether the triggerer has the task: before that, Airflow has nobody to tell of its end."""
    task = run.task(step)
    return task["state"] == "deferred" and "trigger FanFlow/" in run.log(step, task["try_number"])


#: Moment → whether a task is in it.
MOMENTS: dict[str, Callable[[Run, str], bool]] = {
    "running": lambda run, step: run.task(step)["state"] == "running",
    "deferring": lambda run, step: run.task(step)["state"] == "deferred",
    "deferred": has_triggered,
}


@pytest.fixture(scope="module")
def stories(
    faulty: FaultyAirflow, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """All that users do, at the same time."""
    folder = tmp_path_factory.mktemp("users")
    todo: dict[str, Callable[[Run], None]] = {
        **{f"clear-{moment}": lambda run, m=moment: clear(run, m) for moment in MOMENTS},
        "mark-running": mark_running,
        "mark-deferred": mark_deferred,
        "delete": delete,
    }
    with ThreadPoolExecutor(len(todo)) as pool:
        yield {
            name: pool.submit(lambda n, s: s(faulty.run("FanFlow", folder / n)), name, story)
            for name, story in todo.items()
        }


@pytest.mark.parametrize("moment", MOMENTS)
def test_tasks_that_are_cleared(stories: dict[str, Future[None]], moment: str) -> None:
    stories[f"clear-{moment}"].result()


@pytest.mark.parametrize("moment", ["running", "deferred"])
def test_tasks_that_are_marked(stories: dict[str, Future[None]], moment: str) -> None:
    stories[f"mark-{moment}"].result()


def test_a_run_that_is_deleted(stories: dict[str, Future[None]]) -> None:
    stories["delete"].result()


def reach(run: Run, step: str, moment: str) -> None:
    """Wait until a task is in such a moment."""
    until(f"{step} is {moment}", lambda: MOMENTS[moment](run, step), every=0.1)
    until("its code runs", lambda: all(run.traces()[name] for name in CODE[step]), every=0.1)


def has_terminated(run: Run, step: str, of: int) -> bool:
    """Whether the first of so many jobs has been terminated, and no other one."""
    ended = [job["status"] == "FAILED" for job in run.jobs(step)]
    return ended == [True, False][:of]


def clear(run: Run, moment: str) -> None:
    for step, code in CODE.items():
        reach(run, step, moment)
        run.airflow.clear("FanFlow", run.id, step)
        until("it runs again", lambda c=code: all(run.traces()[name] == 2 for name in c))
        until("only one job is left", lambda s=step: has_terminated(run, s, of=2))
        assert run.generations(step) == ["g0", "g1"]
        run.release(f"go-{step}")
    assert run.wait() == "success"
    assert run.traces() == {**dict.fromkeys(FAN, 2), "join": 1}
    assert run.artifacts("end", "joined", "tries") == [[0, 1, 2], [0, 0, 0, 0]]
    assert run.records() == {"start": 1, "body": 1, "join": 1, "end": 1}
    run.nothing_left()
    # One that has succeeded runs again as well.
    run.airflow.clear("FanFlow", run.id, "join")
    until("it runs again", lambda: run.traces()["join"] == 2)
    assert run.wait() == "success"
    assert run.generations("join") == ["g0", "g1"]
    assert run.results("join") == {"0": 2}
    assert run.artifacts("end", "joined") == [[0, 1, 2]]


def mark_running(run: Run) -> None:
    # The worker looks whether the job has ended, and finds afterwards that nobody wants it to. Airflow
    # tells nobody of a mark in the second between a task's deferral and the start of its trigger.
    look = f"{run.id}/start/0/0/result.json"
    with run.airflow.aws.hold("s3:GetObject", look) as gate:
        gate.wait()
        run.airflow.mark("FanFlow", run.id, "start", "failed")
    has_failed(run, "start")


def mark_deferred(run: Run) -> None:
    run.release("go-start")
    reach(run, "body", "deferred")
    run.airflow.mark("FanFlow", run.id, "body", "failed")
    has_failed(run, "body")


def has_failed(run: Run, step: str) -> None:
    until("the job has been terminated", lambda: has_terminated(run, step, of=1))
    assert run.wait() == "failed"
    assert run.task(step)["state"] == "failed"
    assert run.generations(step) == ["g0"]
    assert not run.traces()["join"]
    run.nothing_left()


def delete(run: Run) -> None:
    run.release("go-start")
    reach(run, "body", "deferred")
    place = f"/dags/FanFlow/dagRuns/{quote(run.id)}"
    with pytest.raises(AssertionError, match="409"):  # Airflow deletes no run that is running
        run.airflow.call("DELETE", place)
    run.airflow.call("PATCH", place, {"state": "failed"})
    run.airflow.call("DELETE", place)
    run.nothing_left()
    assert run.traces() == FAN
    # What it has left would pass for the results of another run that is called the same.
    again = run.airflow.run("FanFlow", run.folder)
    again.release("go-body")
    assert again.wait() == "failed"
    assert "found data of an earlier run of this id" in again.log("start")
    assert again.traces() == FAN
    again.nothing_left()
