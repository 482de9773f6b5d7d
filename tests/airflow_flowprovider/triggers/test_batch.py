from __future__ import annotations

import asyncio
import threading
import time
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.xcom import XCom
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_flowprovider.compat import triggers_push_xcoms
from airflow_flowprovider.links import job_xcom
from airflow_flowprovider.triggers import batch, poller
from airflow_flowprovider.triggers.batch import BatchJobTrigger
from airflow_flowprovider.triggers.poller import PollerKey
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import DatastoreError
from flowsdk.record import TaskRecord
from flowsdk.runtime.logs import LogLine, LogWriter
from flowsdk.spec import ErrorInfo, TaskRef, TaskSpec
from tests.flowsdk.aws_batch.fakes import FakeBatch, commit, succeed

REF = TaskRef("train", "3", 0)
JOB = {"id": "job-0", "specs": "s3://b/specs", "size": 1}
JOB_FACTS = job_xcom("job-0", "eu-west-1", "/aws/batch/job", None)


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
        "job": JOB_FACTS,
        "ends_here": False,
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
    monkeypatch.setattr(batch, "triggers_hear_of_kills", lambda: True)
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


def test_an_airflow_that_tells_of_no_marks_is_named(
    fake: FakeBatch, store: FlowDatastore, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "triggers_hear_of_kills", lambda: False)
    fake.change("job-0", "SUCCEEDED")
    events(trigger(store))
    assert shown[0].startswith("Airflow before 3.3: jobs of a task that is marked")


def test_it_shows_the_log_and_says_how_far_it_came(
    fake: FakeBatch, store: FlowDatastore, shown: list[str]
) -> None:
    write(store, "seen by the worker", "two", "three")

    def end() -> None:
        if shown:
            fake.change("job-0", "SUCCEEDED")

    fake.on_describe = end
    assert events(trigger(store, next_chunk=1)) == [
        {"jobs": [JOB], "next_chunk": 3, "round": 2, "told": []}
    ]
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


def test_a_log_that_says_nothing_is_looked_at_less_and_less(
    fake: FakeBatch, store: FlowDatastore, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    looks = 0
    read = FlowDatastore.read_log_chunk

    def read_log_chunk(self: FlowDatastore, run: str, ref: TaskRef, number: int) -> bytes | None:
        reads.append(looks)
        return read(self, run, ref, number)

    def go_on() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            fake.change("job-0", "RUNNING")
        if looks == 40:
            fake.change("job-0", "SUCCEEDED")

    monkeypatch.setattr(FlowDatastore, "read_log_chunk", read_log_chunk)
    fake.change("job-0", "RUNNABLE")
    fake.on_describe = go_on
    events(trigger(store, poll_interval_min=0.02, poll_interval_max=0.02))
    assert reads[0] >= 3, "a job that waits prints nothing"
    assert reads[-1] == 40, "the end is shown in any case"
    assert len(reads) < 20


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


def test_a_connection_that_cannot_be_had_at_first_fails_no_task(
    fake: FakeBatch, store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a thousand triggers start anew, and Airflow's database or AWS's roles do not answer."""
    fake.change("job-0", "SUCCEEDED")
    connect, failures = poller.connect, [OSError("no route"), OSError("no route")]

    def connect_in_the_end(key: PollerKey) -> poller.Clients:
        if failures:
            raise failures.pop()
        return connect(key)

    monkeypatch.setattr(poller, "connect", connect_in_the_end)
    assert len(events(trigger(store))) == 1
    assert not failures


def test_it_hears_of_a_user_while_it_connects(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow calls ``on_kill`` only if the cancellation comes back as it was sent."""
    connecting, go_on = threading.Event(), threading.Event()

    def connect(key: PollerKey) -> None:
        connecting.set()
        go_on.wait()
        raise AssertionError("nobody is interested any more")

    async def clear() -> object:
        task = asyncio.ensure_future(anext(trigger(store).run()))
        await asyncio.to_thread(connecting.wait)
        task.cancel("user-action")
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        go_on.set()
        return raised.value.args

    monkeypatch.setattr(poller, "connect", connect)
    assert asyncio.run(clear()) == ("user-action",)


def test_airflow_does_not_give_a_trigger_the_time_to_end_its_job(
    fake: FakeBatch, store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cancels a trigger again each second, while that is still connecting, for example."""
    cancelled = asyncio.Event()

    async def late() -> None:
        await cancelled.wait()

    async def clear_twice() -> None:
        task = asyncio.create_task(trigger(store).on_kill())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not fake.calls["TerminateJob"]
        cancelled.set()
        await asyncio.wait(batch._ending)

    monkeypatch.setattr(batch, "turn_to_end", late)
    asyncio.run(clear_twice())
    assert fake.jobs["job-0"]["isTerminated"]
    assert not batch._ending


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


SPEC = TaskSpec("MyFlow", "run-1", "train", "3", 0, "root")


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The XComs that triggers leave."""
    if not triggers_push_xcoms():
        pytest.skip("triggers of this Airflow leave none")
    left: dict[str, Any] = {}

    async def aset(key: str, value: Any, **of: Any) -> None:
        identity = ("MyFlow", "train", "run-1", 3)
        assert (of["dag_id"], of["task_id"], of["run_id"], of["map_index"]) == identity
        left[key] = value

    monkeypatch.setattr(XCom, "aset", aset)
    return left


def ended_here(made: BatchJobTrigger) -> TriggerEvent:
    """The event of a trigger that a triggerer runs."""
    made.trigger_id = 1
    ti = SimpleNamespace(dag_id="MyFlow", task_id="train", run_id="run-1", map_index=3)
    made._task_instance = ti  # type: ignore[assignment]

    async def first() -> TriggerEvent:
        return await asyncio.wait_for(anext(made.run()), 10)  # type: ignore[arg-type]

    return asyncio.run(first())


def test_success_takes_no_second_worker(
    fake: FakeBatch, store: FlowDatastore, shown: list[str], pushed: dict[str, Any]
) -> None:
    write(store, "seen by the worker", "two")
    result = succeed(store, SPEC, next=("end",))
    fake.change("job-0", "SUCCEEDED", container={"logStreamName": "stream"})
    # No hold: an Airflow that hears late of the deferral finds an ended task, which it leaves alone.
    event = ended_here(trigger(store, ends_here=True, next_chunk=1, hold=1000.0))
    assert isinstance(event, TaskSuccessEvent)
    assert not event.xcoms, "Airflow would store them as JSON in JSON"
    assert pushed["flow_task"] == TaskRecord.of(result, store.result_uri("run-1", REF)).to_dict()
    # Each costs the triggerer a request; what the job is the worker has left.
    assert set(pushed) == {"flow_task", "_link_cloudwatch_log"}
    assert pushed["_link_cloudwatch_log"].endswith("/log-events/stream")
    assert shown == ["two", "Task MyFlow/run-1/train/3 has succeeded"]


def test_a_log_whose_end_cannot_be_read_is_for_a_worker(
    fake: FakeBatch, store: FlowDatastore, pushed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise DatastoreError("slow down")

    monkeypatch.setattr(FlowDatastore, "read_log_chunk", fail)
    succeed(store, SPEC)
    fake.change("job-0", "SUCCEEDED")
    assert type(ended_here(trigger(store, ends_here=True))) is TriggerEvent
    assert not pushed


def test_a_record_that_cannot_be_left_is_for_a_worker(
    fake: FakeBatch, store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def aset(*_: Any, **__: Any) -> None:
        raise RuntimeError("500")

    monkeypatch.setattr(XCom, "aset", aset, raising=False)
    succeed(store, SPEC)
    fake.change("job-0", "SUCCEEDED")
    assert type(ended_here(trigger(store, ends_here=True))) is TriggerEvent


@pytest.mark.parametrize("left", ["nothing", "a failure", "a success, but the step maps"])
def test_all_else_is_for_a_worker(fake: FakeBatch, store: FlowDatastore, left: str) -> None:
    if left == "a failure":
        error = ErrorInfo("user", "builtins.ValueError", "no")
        commit(store, SPEC, status="failed", error=error)
    if left == "a success, but the step maps":
        succeed(store, SPEC)
    fake.change("job-0", "SUCCEEDED")
    event = ended_here(trigger(store, ends_here=not left.endswith("maps")))
    assert type(event) is TriggerEvent
    assert event.payload["jobs"] == [JOB]


def test_dag_test_gets_an_event_that_it_understands(fake: FakeBatch, store: FlowDatastore) -> None:
    """It runs triggers that have no id, and takes up the task whatever the event."""
    succeed(store, SPEC)
    fake.change("job-0", "SUCCEEDED")
    (payload,) = events(trigger(store, ends_here=True))
    assert payload["jobs"] == [JOB]


def test_a_job_is_ended_though_aws_is_overloaded(
    fake: FakeBatch, store: FlowDatastore, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_flowprovider.triggers.batch._END_AGAIN_SECONDS", (0.0, 0.01))
    for _ in range(3):
        fake.fail("TerminateJob", "TooManyRequestsException")
    asyncio.run(trigger(store).on_kill())
    assert fake.jobs["job-0"]["isTerminated"]
    fake.fail("TerminateJob", "AccessDeniedException", "not yours")
    asyncio.run(trigger(store, jobs=[{**JOB, "id": "job-1"}, {**JOB, "id": "job-2"}]).on_kill())
    assert "isTerminated" not in fake.jobs["job-1"]
    assert fake.jobs["job-2"]["isTerminated"]
    assert "Batch job job-1 may go on, terminate it by hand" in shown[1]
