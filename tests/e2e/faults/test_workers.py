"""A worker that is killed, wherever it is in its work, loses nothing and doubles nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.e2e.faults.proxy import Gate
from tests.e2e.faults.support import FaultyAirflow, Run, kill_worker, until

Hold = Callable[[Run, str], AbstractContextManager[Gate]]


def _submission(after: bool) -> Hold:
    return lambda run, step: run.airflow.aws.hold("batch:SubmitJob", run.prefix(step), after)


def _report(state: str, after: bool) -> Hold:
    """The worker's word to Airflow that its task is in such a state now."""

    def hold(run: Run, step: str) -> AbstractContextManager[Gate]:
        return run.airflow.api.hold("PATCH", rf"{run.task(step)['id']}.*\"{state}\"", after)

    return hold


#: Point → the steps in which a worker is killed, of one task and of several; what is held meanwhile;
#: whether the job has ended by then; the jobs that there are in the end; the try that succeeds.
#: A step that is not the last may end in the triggerer, without a worker.
POINTS: dict[str, tuple[tuple[str, str], Hold, bool, str, int]] = {
    "before-it-submits": (("start", "body"), _submission(after=False), False, "g0-1", 2),
    "after-it-has-submitted": (("start", "body"), _submission(after=True), False, "g0-0", 2),
    "after-it-has-deferred": (("start", "body"), _report("deferred", after=True), False, "g0-0", 1),
    "as-it-completes": (("body", "end"), _report("success", after=False), True, "g0-0", 2),
}


@pytest.fixture(scope="module")
def killed(
    faulty: FaultyAirflow, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """The workers of a task and of a set, killed at all points at the same time."""
    folder = tmp_path_factory.mktemp("workers")
    with ThreadPoolExecutor(len(POINTS)) as pool:
        yield {point: pool.submit(kill_at, faulty, folder, point) for point in POINTS}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_worker(killed: dict[str, Future[None]], point: str) -> None:
    killed[point].result()


def kill_at(airflow: FaultyAirflow, folder: Path, point: str) -> None:
    steps, hold, has_ended, job, successful = POINTS[point]
    run = airflow.run("FanFlow", folder / point)
    if has_ended:
        run.release("go-start", "go-body")
    for step in steps:
        with hold(run, step) as gate:
            gate.wait()
            kill_worker(run.task(step))
            gate.drop()
        if not has_ended:
            until("it goes on", lambda step=step: has_gone_on(run, step, successful))
            assert run.names(step) == [job]
        run.release(f"go-{step}")
        task = run.until_state(step, "success", "failed")
        assert (task["state"], task["try_number"]) == ("success", successful)
        assert run.names(step) == [job]
    run.went_through()


def has_gone_on(run: Run, step: str, successful: int) -> bool:
    """Whether the task is deferred, in the try that is to succeed."""
    task = run.task(step)
    return bool(task["state"] == "deferred" and task["try_number"] == successful)
