from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from airflow_flowprovider.triggers import poller as module
from airflow_flowprovider.triggers.poller import JobPoller, PollerKey
from flowsdk.aws_batch.state import JobState
from flowsdk.exception import BatchError
from tests.airflow_flowprovider.triggers.conftest import KEY, add_job
from tests.flowsdk.aws_batch.fakes import FakeBatch, client_error

DEADLINE = 10.0


async def until_finished(job_id: str, key: PollerKey = KEY) -> JobState:
    with JobPoller.shared(key, job_id, 0.01, 0.02) as (_, states):
        async for state in states:
            if state.finished:
                return state
    raise AssertionError


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(work(), DEADLINE)

    asyncio.run(limited())


async def exhaust(states: AsyncIterator[JobState]) -> None:
    async for _ in states:
        pass


async def asked(fake: FakeBatch, times: int) -> None:
    """Wait until AWS has been asked so often."""
    while fake.calls["DescribeJobs"] < times:  # noqa: ASYNC110  # the fake is asked in threads
        await asyncio.sleep(0.005)


async def next_of(states: AsyncIterator[JobState]) -> JobState:
    return await anext(states)


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
            with JobPoller.shared(KEY, "job-0", 0.01, 0.01) as (first, states):
                with JobPoller.shared(KEY, "job-1", 0.01, 0.01) as (second, _):
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
        with JobPoller.shared(KEY, "job-0", 0.01, 0.01) as (poller, states):
            while fake.errors["DescribeJobs"]:  # noqa: ASYNC110  # it is asked in a thread
                await asyncio.sleep(0.001)
            while poller._interval == 0.01:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.001)
            with JobPoller.shared(KEY, "job-1", 0.01, 0.01):
                assert poller._interval == 0.02
            await next_of(states)
            while poller._interval != 0.01:  # noqa: ASYNC110  # the round goes on for a moment
                await asyncio.sleep(0.001)

    run(work)


def test_the_interval_grows_while_nothing_happens(fake: FakeBatch) -> None:
    async def work() -> None:
        with JobPoller.shared(KEY, "job-0", 0.01, 0.03) as (poller, states):
            assert poller._interval == 0.01
            for expected in (0.01, 0.015, 0.0225, 0.03, 0.03):
                await next_of(states)
                await asyncio.sleep(0)
                assert poller._interval == pytest.approx(expected)
            with JobPoller.shared(KEY, "job-1", 0.01, 0.03):
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
        with JobPoller.shared(KEY, "job-0", 0.01, 0.01) as (poller, states):
            seen: list[float] = []
            fake.on_describe = lambda: seen.append(poller._interval)
            assert (await next_of(states)).status == "RUNNING"
            assert seen[0] == pytest.approx(0.08)

    run(work)


def test_a_hiccup_is_not_told_but_an_outage_is(
    fake: FakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        fake.fail("DescribeJobs", "ServerException", "hiccup")
        with JobPoller.shared(KEY, "job-0", 0.01, 0.01) as (_, states):
            assert (await next_of(states)).status == "RUNNING"
            monkeypatch.setattr(module, "_GIVE_UP_SECONDS", 0.0)
            fake.fail("DescribeJobs", "AccessDeniedException", "outage")
            with pytest.raises(BatchError, match="outage"):
                await exhaust(states)

    run(work)


def test_a_job_that_aws_does_not_show(fake: FakeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        with JobPoller.shared(KEY, "gone", 0.01, 0.01) as (_, states):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(next_of(states), 0.1)
        monkeypatch.setattr(module, "_UNKNOWN_SECONDS", 0.0)
        assert await until_finished("gone") == JobState("gone")

    run(work)


def test_who_is_slow_gets_the_newest_state(fake: FakeBatch) -> None:
    async def work() -> None:
        with JobPoller.shared(KEY, "job-0", 0.01, 0.01) as (_, states):
            await asked(fake, 3)
            fake.change("job-0", "SUCCEEDED")
            await asked(fake, fake.calls["DescribeJobs"] + 2)
            assert (await next_of(states)).succeeded

    run(work)


def test_a_queue_is_described_once_a_minute(fake: FakeBatch) -> None:
    async def work() -> None:
        with JobPoller.shared(KEY, "job-0", 0.01, 0.01) as (poller, _):
            for _ in range(3):
                assert await poller.describe_queue("q") == "ENABLED, VALID"
        assert fake.calls["DescribeJobQueues"] == 1

    run(work)
