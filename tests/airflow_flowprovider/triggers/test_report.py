from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_flowprovider.operators.launching import Job
from airflow_flowprovider.triggers import report as module
from airflow_flowprovider.triggers.poller import JobPoller
from airflow_flowprovider.triggers.report import JobReport
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.runtime.logs import LogLine, LogWriter
from flowsdk.spec import ErrorInfo, Splits, TaskSpec
from tests.airflow_flowprovider.triggers.conftest import KEY, add_job
from tests.flowsdk.aws_batch.fakes import FakeBatch, commit

SPLITS = Splits("names", 30, "digest", tuple(map(str, range(30))))
USER = ErrorInfo("user", "builtins.ValueError", "no")
QUEUE = "q"


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, form: str, *args: Any) -> None:
        self.lines.append(form % args)

    warning = info


class Reported:
    """Lets a report tell of some states, one after another."""

    def __init__(self, store: FlowDatastore, *jobs: Job) -> None:
        self.store, self.jobs, self.log = store, jobs, Log()

    def __call__(self, *looks: Mapping[str, JobState]) -> list[str]:
        async def work() -> None:
            with JobPoller.shared(KEY, [job.id for job in self.jobs], 60, 60) as (poller, _):
                report = JobReport(self.jobs, poller, self.store, "eu-west-1", self.log)
                for states in looks:
                    await report.tell(states)
                self.told = report.told

        asyncio.run(asyncio.wait_for(work(), 10))
        return self.log.lines


def array(job_id: str, **children: int) -> dict[str, JobState]:
    status = "PENDING" if set(children) - {"SUCCEEDED", "FAILED"} else "FAILED"
    created = int((time.time() - 90) * 1000)
    state = JobState(job_id, status=status, children=children, queue=QUEUE, created_at=created)
    return {job_id: state}


def plain(**fields: Any) -> dict[str, JobState]:
    created = int((time.time() - 90) * 1000)
    given = {"status": "RUNNABLE", "queue": QUEUE, "created_at": created, **fields}
    return {"job-0": JobState("job-0", **given)}


@pytest.fixture
def single(store: FlowDatastore) -> Reported:
    return Reported(store, Job("job-0", "s3://b/spec"))


@pytest.fixture
def specs(store: FlowDatastore) -> list[TaskSpec]:
    made = [
        TaskSpec("MyFlow", "run-1", "train", str(i), 0, "root", foreach=(SPLITS.frame("start", i),))
        for i in range(SPLITS.count)
    ]
    store.write_specs("0.0", made)
    return made


@pytest.fixture
def wide(store: FlowDatastore, specs: list[TaskSpec]) -> Reported:
    uri = store.specs_uri("run-1", "0.0", specs[0].ref)
    return Reported(store, Job("job-0", f"{uri}#0", 20), Job("job-1", f"{uri}#20", 10))


def test_the_numbers_of_all_jobs_whenever_they_change(wide: Reported) -> None:
    lines = wide(
        array("job-0", RUNNING=2, RUNNABLE=18),
        array("job-0", RUNNING=2, RUNNABLE=18) | array("job-1", RUNNABLE=10),
        array("job-0", RUNNING=2, RUNNABLE=18) | array("job-1", RUNNABLE=10),
        array("job-0", SUCCEEDED=20) | array("job-1", RUNNABLE=8, RUNNING=2),
    )
    assert lines == [
        "Batch jobs job-0, job-1: 0 of 30 tasks ended; RUNNABLE 18, RUNNING 2, UNKNOWN 10",
        "Batch jobs job-0, job-1: 0 of 30 tasks ended; RUNNABLE 28, RUNNING 2",
        "Batch jobs job-0, job-1: 20 of 30 tasks ended; RUNNABLE 8, RUNNING 2, SUCCEEDED 20",
    ]


def fail(fake: FakeBatch, store: FlowDatastore, spec: TaskSpec, child: str, lines: int) -> None:
    writer = LogWriter(store, spec.run, spec.ref)
    writer.add([LogLine(1, "stdout", f"line {n} of {spec.task}") for n in range(lines)])
    writer.flush()
    commit(store, spec, status="failed", error=USER)
    add_job(fake, child)
    fake.change(child, "FAILED", container={"exitCode": 1})


def test_failed_tasks_show_the_ends_of_their_logs_when_they_fail(
    fake: FakeBatch, store: FlowDatastore, specs: list[TaskSpec], wide: Reported
) -> None:
    fail(fake, store, specs[3], "job-0:3", 30)
    fail(fake, store, specs[21], "job-1:1", 1)
    lines = wide(
        array("job-0", RUNNING=19, FAILED=1),
        array("job-0", RUNNING=19, FAILED=1) | array("job-1", RUNNING=9, FAILED=1),
    )
    url = "https://console.aws.amazon.com/batch/home?region=eu-west-1#jobs/detail/job-0:3"
    assert lines[1] == (
        f"Task MyFlow/run-1/train/3 (attempt 0) failed: ValueError: no. Its job: {url}. The end of "
        f"its log:"
    )
    assert lines[2:22] == [f"    line {n} of 3" for n in range(10, 30)]
    assert [line for line in lines if "line 0 of 21" in line]
    assert wide.told == ["3", "21"]


def test_of_many_failures_a_few_are_told(
    fake: FakeBatch, store: FlowDatastore, specs: list[TaskSpec], wide: Reported
) -> None:
    for index in range(8):
        fail(fake, store, specs[index], f"job-0:{index}", 1)
    looks = [array("job-0", RUNNING=20 - n, FAILED=n) for n in (4, 8, 9)]
    assert len([line for line in wide(*looks) if "failed" in line]) == 5
    assert fake.calls["ListJobs"] == 1, "and then nobody is asked any more"


def test_a_task_that_died_without_a_word_has_aws_speak_for_it(
    fake: FakeBatch, wide: Reported
) -> None:
    add_job(fake, "job-0:4")
    fake.change("job-0:4", "FAILED", container={"reason": "OutOfMemoryError: Container killed"})
    lines = wide(array("job-0", RUNNING=19, FAILED=1))
    assert "ran out of memory" in lines[1]


def test_what_cannot_be_asked_is_left_out(fake: FakeBatch, wide: Reported) -> None:
    for _ in range(2):
        fake.fail("ListJobs", "AccessDeniedException", "not yours")
    looks = [array("job-0", RUNNING=20 - n, FAILED=n) for n in (1, 2)]
    lines = wide(*looks)
    assert len([line for line in lines if "not yours" in line]) == 1
    assert [line for line in lines if "FAILED 2" in line]


def test_a_long_wait_is_explained_once_for_each_reason(single: Reported) -> None:
    reason = "MISCONFIGURATION:NO_GPU"
    resources = {"VCPU": "4"}
    looks = [plain(resources=resources)] * 3 + [plain(resources=resources, reason=reason)] * 2
    first, second = single(*looks)
    assert "has been waiting for a host for 90 s. It asks for 4 vCPU. Job queue q: " in first
    assert "ENABLED, VALID; compute environment e: EC2" in first
    assert "nothing yet" in first
    assert reason in second


def test_a_short_wait_is_not(single: Reported) -> None:
    assert single(plain(created_at=int(time.time() * 1000)), plain(status="RUNNING")) == []


def test_a_job_that_waits_again_after_it_has_run_has_not_waited_since_it_was_submitted(
    single: Reported,
) -> None:
    assert single(plain(attempts=1), plain(attempts=1)) == []


def test_an_array_of_which_nothing_runs_is_explained_by_one_of_its_children(
    fake: FakeBatch, wide: Reported
) -> None:
    add_job(fake, "job-0:0")
    fake.change("job-0:0", "RUNNABLE", statusReason="MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS")
    lines = wide(array("job-0", RUNNABLE=20), array("job-0", RUNNABLE=20))
    assert len(lines) == 2
    assert lines[1].startswith("20 tasks of Batch job job-0 have been waiting for a host for 90 s.")
    assert "Each asks for the amounts of its job definition." in lines[1]
    assert lines[1].endswith("AWS Batch says: MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS.")
    assert fake.calls["ListJobs"] == 1


def test_an_array_of_which_something_runs_is_not(wide: Reported) -> None:
    lines = wide(array("job-0", RUNNABLE=20) | array("job-1", RUNNING=1, RUNNABLE=9))
    assert len(lines) == 1


def test_an_explanation_in_full() -> None:
    state = JobState(
        "j",
        status="RUNNABLE",
        reason="MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        queue="arn:aws:batch:r:1:job-queue/flows",
        resources={"VCPU": "4", "MEMORY": "8192", "GPU": "1"},
    )
    assert module.explanation(state, "ENABLED, VALID", 61.4) == (
        "Batch job j has been waiting for a host for 61 s. It asks for 4 vCPU, 8192 MiB of memory, "
        "1 GPU. Job queue flows: ENABLED, VALID. AWS Batch says: "
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT."
    )
