from __future__ import annotations

import asyncio
import time
from importlib import import_module
from typing import Any

import pytest

from airflow_flowprovider.triggers import batch as module
from airflow_flowprovider.triggers.batch import BatchJobTrigger
from airflow_flowprovider.triggers.poller import PollerKey
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import DatastoreError
from flowsdk.runtime.logs import LogLine, LogWriter
from flowsdk.spec import TaskRef
from tests.flowsdk.aws_batch.fakes import FakeBatch

REF = TaskRef("train", "3", 0)
JOB = {"id": "job-0", "specs": "s3://b/specs", "size": 1}


def trigger(store: FlowDatastore, **changed: Any) -> BatchJobTrigger:
    arguments: dict[str, Any] = {
        "jobs": [JOB],
        "aws_conn_id": "aws_default",
        "region_name": None,
        "root": store.storage.root,
        "flow": "MyFlow",
        "run": "run-1",
        "ref": str(REF),
        "next_chunk": 0,
        "round_number": 2,
        "deferred_at": time.time(),
        "hold": 0.0,
        "poll_interval_min": 0.01,
        "poll_interval_max": 0.01,
    }
    return BatchJobTrigger(**{**arguments, **changed})


def events(made: BatchJobTrigger) -> list[dict[str, Any]]:
    async def collect() -> list[dict[str, Any]]:
        return [event.payload async for event in made.run()]  # type: ignore[misc]

    async def limited() -> list[dict[str, Any]]:
        return await asyncio.wait_for(collect(), 10)

    return asyncio.run(limited())


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What triggers write to the task's log."""
    lines: list[str] = []

    class Log:
        def info(self, form: str, *args: Any) -> None:
            lines.append(form % args)

        warning = info

    monkeypatch.setattr(BatchJobTrigger, "log", Log())
    return lines


def write(store: FlowDatastore, *chunks: str) -> None:
    writer = LogWriter(store, "run-1", REF)
    for text in chunks:
        writer.add([LogLine(1, "stdout", text)])
        writer.flush()


def test_another_triggerer_can_go_on(store: FlowDatastore) -> None:
    made = trigger(store, next_chunk=4)
    path, arguments = made.serialize()
    name, _, kind = path.rpartition(".")
    again = getattr(import_module(name), kind)(**arguments)
    assert again.serialize() == made.serialize()


def test_it_shows_the_log_and_says_how_far_it_came(
    fake: FakeBatch, store: FlowDatastore, shown: list[str]
) -> None:
    write(store, "seen by the worker", "two", "three")

    def end() -> None:
        if shown:
            fake.change("job-0", "SUCCEEDED")

    fake.on_describe = end
    assert events(trigger(store, next_chunk=1)) == [{"jobs": [JOB], "next_chunk": 3, "round": 2}]
    assert shown == ["two", "three"]


def test_its_event_is_held_back_after_a_deferral(fake: FakeBatch, store: FlowDatastore) -> None:
    fake.change("job-0", "SUCCEEDED")
    started = time.time()
    events(trigger(store, deferred_at=started, hold=0.5))
    assert time.time() - started >= 0.5
    # A worker whose clock is ahead does not hold it back for longer than that.
    started = time.time()
    events(trigger(store, deferred_at=started + 1000, hold=0.2))
    assert time.time() - started < 5


def test_a_log_that_cannot_be_read_ends_no_task(
    fake: FakeBatch, store: FlowDatastore, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise DatastoreError("slow down")

    monkeypatch.setattr(FlowDatastore, "read_log_chunk", fail)
    looks = 0

    def end_in_the_third_look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            fake.change("job-0", "SUCCEEDED")

    fake.on_describe = end_in_the_third_look
    assert len(events(trigger(store))) == 1
    assert shown == ["The task's log cannot be read for now: slow down"]


def test_a_long_wait_is_explained_once_for_each_reason(
    fake: FakeBatch, store: FlowDatastore, shown: list[str]
) -> None:
    fake.change("job-0", "RUNNABLE", createdAt=(time.time() - 90) * 1000)
    looks = 0

    def go_on() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            fake.change("job-0", "RUNNABLE", statusReason="MISCONFIGURATION:NO_GPU")
        if looks == 6:
            fake.change("job-0", "SUCCEEDED")

    fake.on_describe = go_on
    events(trigger(store))
    assert len(shown) == 2
    assert "waiting for a host for 90 s. It asks for 4 vCPU. Job queue q: not found." in shown[0]
    assert "nothing yet" in shown[0]
    assert "MISCONFIGURATION:NO_GPU" in shown[1]


def test_a_short_wait_is_not(fake: FakeBatch, store: FlowDatastore, shown: list[str]) -> None:
    fake.change("job-0", "RUNNABLE", createdAt=time.time() * 1000)
    looks = 0

    def go_on() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            fake.change("job-0", "SUCCEEDED")

    fake.on_describe = go_on
    events(trigger(store))
    assert shown == []


def test_a_user_who_ends_the_task_ends_the_job(
    fake: FakeBatch, store: FlowDatastore, shown: list[str], connections: list[PollerKey]
) -> None:
    asyncio.run(trigger(store).on_kill())
    assert fake.jobs["job-0"]["isTerminated"]
    assert shown == ["Terminated Batch job job-0"]


def test_a_thousand_tasks_cleared_at_once_make_no_new_clients(
    fake: FakeBatch, store: FlowDatastore, connections: list[PollerKey]
) -> None:
    async def clear() -> None:
        made = trigger(store)
        task = asyncio.ensure_future(anext(made.run()))
        while not fake.calls["DescribeJobs"]:  # noqa: ASYNC110  # it is asked in a thread
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await made.on_kill()

    asyncio.run(clear())
    assert fake.jobs["job-0"]["isTerminated"]
    assert len(connections) == 1


def test_a_triggerer_that_stops_leaves_the_job_alone(fake: FakeBatch, store: FlowDatastore) -> None:
    async def stop_in_the_middle() -> None:
        made = trigger(store)
        task = asyncio.ensure_future(anext(made.run()))
        while not fake.calls["DescribeJobs"]:  # noqa: ASYNC110  # it is asked in a thread
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await made.cleanup()

    asyncio.run(stop_in_the_middle())
    assert fake.calls["TerminateJob"] == 0


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


def test_of_an_array_it_tells_how_many_tasks_have_ended(
    fake: FakeBatch, store: FlowDatastore, shown: list[str]
) -> None:
    looks = iter(
        [
            ("PENDING", {"RUNNING": 2, "RUNNABLE": 1}),
            ("PENDING", {"RUNNING": 2, "RUNNABLE": 1}),
            ("PENDING", {"RUNNING": 1, "SUCCEEDED": 2}),
            ("FAILED", {"SUCCEEDED": 2, "FAILED": 1}),
        ]
    )

    def go_on() -> None:
        status, children = next(looks)
        fake.change("job-0", status, arrayProperties={"size": 3, "statusSummary": children})

    fake.on_describe = go_on
    (event,) = events(trigger(store, ref=None))
    assert event["next_chunk"] == 0
    assert shown == [
        "Batch job job-0: 0 of 3 tasks ended; RUNNABLE 1, RUNNING 2",
        "Batch job job-0: 2 of 3 tasks ended; RUNNING 1, SUCCEEDED 2",
        "Batch job job-0: 3 of 3 tasks ended; SUCCEEDED 2, FAILED 1",
    ]


def test_it_waits_for_all_jobs_and_ends_all_of_them(
    fake: FakeBatch, store: FlowDatastore, shown: list[str]
) -> None:
    jobs = [{**JOB, "id": f"job-{number}"} for number in range(3)]
    order = iter(["job-2", "job-0", "job-1"])
    fake.on_describe = lambda: fake.change(next(order), "SUCCEEDED")
    (event,) = events(trigger(store, ref=None, jobs=jobs))
    assert event["jobs"] == jobs
    asyncio.run(trigger(store, jobs=jobs).on_kill())
    assert all(job["isTerminated"] for job in fake.jobs.values())
