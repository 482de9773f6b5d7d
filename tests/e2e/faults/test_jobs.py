"""What AWS Batch can do to a job: each counts as what it is, and nothing turns green by it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_flowprovider.local.batch.adapter import INTERRUPT_TAG
from tests.e2e.faults.support import FaultyAirflow, Run, until

pytestmark = pytest.mark.timeout(1200)
RECLAIMED = "Host EC2 (instance i-0a1b2c3d4e5f67890) terminated."


@pytest.fixture(scope="module")
def queue(faulty: FaultyAirflow) -> Iterator[str]:
    """A job queue that takes no jobs."""
    batch = faulty.client("batch")
    batch.create_job_queue(
        jobQueueName="closed",
        state="DISABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "flows"}],
    )
    return "closed"


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture(scope="module")
def jobs(
    faulty: FaultyAirflow,
    queue: str,
    pool: ThreadPoolExecutor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    run = faulty.run("JobsFlow", tmp_path_factory.mktemp("jobs") / "each")
    pool.submit(reclaim, run, "reclaimed")
    pool.submit(enable_once_refused, run, queue)
    return run


@pytest.fixture(scope="module")
def members(
    faulty: FaultyAirflow,
    jobs: Run,
    pool: ThreadPoolExecutor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    run = faulty.run("MembersFlow", tmp_path_factory.mktemp("members") / "each")
    pool.submit(reclaim, run, "body", ":1")
    return run


def reclaim(run: Run, step: str, child: str = "") -> None:
    """Take the host of a job away, or that of a member of an array, once its code runs."""
    until("its code runs", lambda: run.traces()["reclaimed"] == 1)
    batch = run.airflow.client("batch")
    described = batch.describe_jobs(jobs=[only_job(run, step)["jobId"] + child])["jobs"]
    batch.tag_resource(resourceArn=described[0]["jobArn"], tags={INTERRUPT_TAG: RECLAIMED})


def enable_once_refused(run: Run, queue: str) -> None:
    until("a job was refused", lambda: run.task("closed")["try_number"] == 2)
    run.airflow.client("batch").update_job_queue(jobQueue=queue, state="ENABLED")


def only_job(run: Run, step: str) -> dict[str, Any]:
    (job,) = run.jobs(step)
    (described,) = run.airflow.client("batch").describe_jobs(jobs=[job["jobId"]])["jobs"]
    return dict(described)


def test_a_queue_that_takes_no_jobs_until_it_is_enabled(members: Run, jobs: Run) -> None:
    task = jobs.until_state("closed", "success", "failed")
    assert task["state"] == "success"
    assert task["try_number"] > 1
    assert "closed is not in ENABLED state" in jobs.log("closed")
    assert jobs.traces()["closed"] == 1
    assert jobs.artifacts("closed", "retries") == [0]


def test_a_job_whose_host_is_reclaimed(members: Run, jobs: Run) -> None:
    until("it runs again", lambda: jobs.traces()["reclaimed"] == 2)
    jobs.release("go-reclaimed")
    task = jobs.until_state("reclaimed", "success", "failed")
    assert (task["state"], task["try_number"]) == ("success", 1)
    assert jobs.artifacts("reclaimed", "retries") == [0]
    first, _ = only_job(jobs, "reclaimed")["attempts"]
    assert first["statusReason"] == RECLAIMED


def test_a_job_that_runs_out_of_memory(members: Run, jobs: Run) -> None:
    task = jobs.until_state("greedy", "success", "failed")
    # The author has to act: so it uses up the author's one retry, and none of the platform's.
    assert (task["state"], task["try_number"]) == ("failed", 2)
    assert jobs.traces()["greedy"] == 2
    assert jobs.names("greedy") == ["g0-0", "g0-1"]
    assert "ran out of memory" in jobs.log("greedy", 2)


def test_a_job_that_takes_too_long(members: Run, jobs: Run) -> None:
    task = jobs.until_state("slow", "success", "failed")
    assert (task["state"], task["try_number"]) == ("failed", 1)
    assert jobs.traces()["slow"] == 1


def test_a_job_that_nothing_but_batch_can_stop(members: Run, jobs: Run) -> None:
    task = jobs.until_state("stuck", "success", "failed")
    assert (task["state"], task["try_number"]) == ("failed", 1)
    assert jobs.traces()["stuck"] == 1
    assert only_job(jobs, "stuck")["statusReason"] == "Job attempt duration exceeded timeout"
    assert "did not end within its @timeout" in jobs.log("stuck")


def test_an_image_that_does_not_exist(members: Run, jobs: Run) -> None:
    task = jobs.until_state("imageless", "success", "failed")
    assert task["state"] == "failed"
    log = jobs.log("imageless", task["try_number"])
    assert "CannotPullContainerError" in log
    assert "missing:does-not-exist" in log
    assert jobs.traces()["imageless"] == 0


def test_a_job_that_succeeds_and_leaves_no_result(members: Run, jobs: Run) -> None:
    task = jobs.until_state("silent", "success", "failed")
    assert (task["state"], task["try_number"]) == ("failed", 3)
    assert [job["status"] for job in jobs.jobs("silent")] == ["SUCCEEDED"] * 3
    assert jobs.traces()["silent"] == 0
    assert "left no result" in jobs.log("silent", 3)


def test_a_run_of_which_jobs_have_failed_has_failed(members: Run, jobs: Run) -> None:
    assert jobs.wait() == "failed"
    assert jobs.task("join")["state"] == "upstream_failed"
    assert jobs.traces()["join"] == 0
    jobs.nothing_left()


def test_only_those_members_of_a_set_run_again_that_have_failed(members: Run) -> None:
    assert members.wait() == "success"
    assert members.traces() == {
        "none": 1,
        "reclaimed": 2,  # by Batch, in the same attempt
        "greedy": 2,
        "slow": 2,
        "error": 2,
        "killed": 2,
        "also none": 1,
    }
    assert members.artifacts("join", "joined") == [
        [
            ["none", 0],
            ["reclaimed", 0],
            ["greedy", 1],
            ["slow", 1],
            ["error", 1],
            ["killed", 0],
            ["also none", 0],
        ]
    ]
    first, second = members.jobs("body")
    assert members.names("body") == ["g0-0", "g0-1"]
    assert first["arrayProperties"]["size"] == 7
    assert second["arrayProperties"]["size"] == 4
    assert members.task("body")["try_number"] == 2
    assert members.records() == {"start": 1, "body": 1, "join": 1, "end": 1}
    members.nothing_left()
