from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from airflow_flowprovider.triggers import poller as module
from airflow_flowprovider.triggers.poller import JobPoller, PollerKey
from flowsdk.aws_batch.state import JobState
from flowsdk.exception import BatchError
from tests.airflow_flowprovider.triggers.conftest import KEY, add_job
from tests.flowsdk.aws_batch.fakes import FakeBatch, client_error

DEADLINE = 10.0
Looks = AsyncIterator[Mapping[str, JobState]]


async def until_finished(job_id: str, key: PollerKey = KEY) -> JobState:
    with JobPoller.shared(key, [job_id], 0.01, 0.02) as (_, looks):
        async for states in looks:
            if states[job_id].finished:
                return states[job_id]
    raise AssertionError


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(work(), DEADLINE)

    asyncio.run(limited())


async def exhaust(looks: Looks) -> None:
    async for _ in looks:
        pass


async def asked(fake: FakeBatch, times: int) -> None:
    """Wait until AWS has been asked so often."""
    while fake.calls["DescribeJobs"] < times:  # noqa: ASYNC110  # the fake is asked in threads
        await asyncio.sleep(0.005)


async def next_of(looks: Looks) -> JobState:
    """What is seen of the one job next."""
    (state,) = (await anext(looks)).values()
    return state


def test_many_wait_and_few_ask(fake: FakeBatch, connections: list[PollerKey]) -> None:
    ids = [f"wide-{number}" for number in range(250)]
    for job_id in ids:
        add_job(fake, job_id)
    rounds = 0

    def finish_in_the_second_round() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 4:  # each round is three requests
            for job_id in ids:
                fake.change(job_id, "SUCCEEDED")

    fake.on_describe = finish_in_the_second_round

    async def work() -> None:
        states = await asyncio.gather(*(until_finished(job_id) for job_id in ids))
        assert {state.status for state in states} == {"SUCCEEDED"}

    run(work)
    assert fake.calls["DescribeJobs"] == 6
    assert connections == [KEY]


def test_connections_have_pollers_of_their_own(
    fake: FakeBatch, connections: list[PollerKey]
) -> None:
    other = PollerKey("other", "eu-west-1")

    async def work() -> None:
        for job_id in fake.jobs:
            fake.change(job_id, "FAILED")
        await asyncio.gather(until_finished("job-0"), until_finished("job-1", other))

    run(work)
    assert sorted(connections) == sorted([KEY, other])


def test_it_ends_with_the_last_who_waits_and_begins_anew(
    fake: FakeBatch, connections: list[PollerKey]
) -> None:
    async def work() -> None:
        for _ in range(2):
            with JobPoller.shared(KEY, ["job-0"], 0.01, 0.01) as (first, states):
                with JobPoller.shared(KEY, ["job-1"], 0.01, 0.01) as (second, _):
                    assert first is second
                await next_of(states)
                task = first._task
            assert task is not None
            with contextlib.suppress(asyncio.CancelledError):
                await task
            before = fake.calls["DescribeJobs"]
            await asyncio.sleep(0.05)
            assert fake.calls["DescribeJobs"] == before

    run(work)
    assert connections == [KEY, KEY]


def test_who_joins_does_not_undo_a_backoff(fake: FakeBatch) -> None:
    fake.errors["DescribeJobs"] = [client_error("DescribeJobs", "ThrottlingException", "slow down")]

    async def work() -> None:
        with JobPoller.shared(KEY, ["job-0"], 0.01, 0.01) as (poller, states):
            while fake.errors["DescribeJobs"]:  # noqa: ASYNC110  # it is asked in a thread
                await asyncio.sleep(0.001)
            while poller._interval == 0.01:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.001)
            with JobPoller.shared(KEY, ["job-1"], 0.01, 0.01):
                assert poller._interval == 0.02
            await next_of(states)
            while poller._interval != 0.01:  # noqa: ASYNC110  # the round goes on for a moment
                await asyncio.sleep(0.001)

    run(work)


def test_the_interval_grows_while_nothing_happens(fake: FakeBatch) -> None:
    async def work() -> None:
        with JobPoller.shared(KEY, ["job-0"], 0.01, 0.03) as (poller, states):
            assert poller._interval == 0.01
            for expected in (0.01, 0.015, 0.0225, 0.03, 0.03):
                await next_of(states)
                await asyncio.sleep(0)
                assert poller._interval == pytest.approx(expected)
            with JobPoller.shared(KEY, ["job-1"], 0.01, 0.03):
                assert poller._interval == 0.01, "a new job may be a short one"
            poller._interval = 0.03
            fake.change("job-0", "RUNNABLE")
            while (await next_of(states)).status != "RUNNABLE":
                pass
            await asyncio.sleep(0)
            assert poller._interval == 0.01

    run(work)


def test_it_backs_off_when_it_asks_too_often(fake: FakeBatch) -> None:
    for _ in range(3):
        fake.fail("DescribeJobs", "TooManyRequestsException")

    async def work() -> None:
        with JobPoller.shared(KEY, ["job-0"], 0.01, 0.01) as (poller, states):
            seen: list[float] = []
            fake.on_describe = lambda: seen.append(poller._interval)
            assert (await next_of(states)).status == "RUNNING"
            assert seen[0] == pytest.approx(0.08)

    run(work)


def test_backing_off_never_means_asking_more_often(
    fake: FakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_BACKOFF_SECONDS", 0.001)
    fake.fail("DescribeJobs", "TooManyRequestsException")

    async def work() -> None:
        with JobPoller.shared(KEY, ["job-0"], 0.02, 0.02) as (poller, states):
            seen: list[float] = []
            fake.on_describe = lambda: seen.append(poller._interval)
            await next_of(states)
            assert seen[0] == pytest.approx(0.02)

    run(work)


def test_a_refusal_that_lasts_is_told(fake: FakeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        fake.fail("DescribeJobs", "AccessDeniedException", "hiccup")
        with JobPoller.shared(KEY, ["job-0"], 0.01, 0.01) as (_, states):
            assert (await next_of(states)).status == "RUNNING"
            monkeypatch.setattr(module, "_GIVE_UP_SECONDS", 0.0)
            fake.fail("DescribeJobs", "AccessDeniedException", "outage")
            with pytest.raises(BatchError, match="outage"):
                await exhaust(states)

    run(work)


def test_after_a_refusal_the_connection_is_read_again(
    fake: FakeBatch, connections: list[PollerKey]
) -> None:
    fake.fail("DescribeJobs", "UnrecognizedClientException", "the key was replaced")

    async def work() -> None:
        with JobPoller.shared(KEY, ["job-0"], 0.01, 0.01) as (_, states):
            assert (await next_of(states)).status == "RUNNING"

    run(work)
    assert connections == [KEY, KEY]


def test_an_aws_that_is_overloaded_or_away_is_waited_for(
    fake: FakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GIVE_UP_SECONDS", 0.0)
    monkeypatch.setattr(module, "_MAX_BACKOFF_SECONDS", 0.02)
    away = client_error("DescribeJobs", "ServerException", "away", status=503)
    lost = ConnectionClosedError(endpoint_url="https://batch")
    throttled = client_error("DescribeJobs", "TooManyRequestsException", "slow down", status=429)
    fake.errors["DescribeJobs"] = [away, lost, throttled] * 5

    async def work() -> None:
        with JobPoller.shared(KEY, ["job-0"], 0.001, 0.001) as (_, states):
            assert (await next_of(states)).status == "RUNNING"

    run(work)
    assert fake.calls["DescribeJobs"] == 16


def test_a_round_begins_with_those_that_the_last_one_did_not_reach(fake: FakeBatch) -> None:
    """An AWS that takes one request and refuses the next must not hide the same jobs for ever."""
    ids = [f"wide-{number}" for number in range(250)]
    for job_id in ids:
        add_job(fake, job_id)
    fake.on_describe = lambda: fake.fail("DescribeJobs", "TooManyRequestsException")

    async def work() -> None:
        with JobPoller.shared(KEY, ids, 0.001, 0.001) as (_, looks):
            async for states in looks:
                if len(states) == len(ids):
                    return

    run(work)


def test_a_datastore_that_does_not_answer_hides_no_job(fake: FakeBatch) -> None:
    answer = threading.Event()

    async def work() -> None:
        with JobPoller.shared(KEY, ["job-0"], 0.001, 0.001) as (poller, states):
            reads = [asyncio.create_task(poller.call(answer.wait, DEADLINE)) for _ in range(50)]
            assert (await next_of(states)).status == "RUNNING"
            answer.set()
            assert all(await asyncio.gather(*reads))

    run(work)


def test_several_jobs_are_seen_together_and_none_that_has_ended_again(fake: FakeBatch) -> None:
    fake.change("job-1", "SUCCEEDED")
    asked: list[list[str]] = []
    describe = fake.describe_jobs

    def describe_jobs(**request: Any) -> dict[str, Any]:
        asked.append(sorted(request["jobs"]))
        return describe(**request)

    fake.describe_jobs = describe_jobs  # type: ignore[method-assign]

    async def work() -> None:
        with JobPoller.shared(KEY, ["job-0", "job-1"], 0.01, 0.01) as (_, looks):
            for _ in range(2):
                states = await anext(looks)
                assert (states["job-0"].status, states["job-1"].status) == ("RUNNING", "SUCCEEDED")

    run(work)
    assert asked[:2] == [["job-0", "job-1"], ["job-0"]]


def test_all_connections_share_the_requests_that_a_triggerer_may_send(
    fake: FakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many requests as there were turns, in whatever time the machine took for them."""
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__REQUESTS_PER_SECOND", "50")

    async def work() -> None:
        started = time.monotonic()
        with (
            JobPoller.shared(KEY, ["job-0"], 0.0, 0.0),
            JobPoller.shared(PollerKey("other", None), ["job-1"], 0.0, 0.0),
        ):
            await asked(fake, 10)
            # The first is free, and each one after it comes a turn later.
            assert fake.calls["DescribeJobs"] <= 2 + 50 * (time.monotonic() - started)

    run(work)


def test_a_job_that_aws_does_not_show(fake: FakeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        with JobPoller.shared(KEY, ["gone"], 0.01, 0.01) as (_, states):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(next_of(states), 0.1)
        monkeypatch.setattr(module, "_UNKNOWN_SECONDS", 0.0)
        assert await until_finished("gone") == JobState("gone")

    run(work)


def test_who_is_slow_gets_the_newest_state(fake: FakeBatch) -> None:
    async def work() -> None:
        with JobPoller.shared(KEY, ["job-0"], 0.01, 0.01) as (_, states):
            await asked(fake, 3)
            fake.change("job-0", "STARTING")
            await asked(fake, fake.calls["DescribeJobs"] + 2)
            assert (await next_of(states)).status == "STARTING"

    run(work)


def test_a_queue_is_described_once_a_minute(fake: FakeBatch) -> None:
    async def work() -> None:
        with JobPoller.shared(KEY, ["job-0"], 0.01, 0.01) as (poller, _):
            words = await asyncio.gather(*(poller.describe_queue("q") for _ in range(3)))
        assert set(words) == {"ENABLED, VALID; compute environment e: EC2"}
        assert fake.calls["DescribeJobQueues"] == 1

    run(work)
