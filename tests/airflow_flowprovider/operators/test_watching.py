from __future__ import annotations

import pytest
from botocore.exceptions import ConnectionClosedError

from airflow_flowprovider.operators import watching
from airflow_flowprovider.operators.launching import Job
from airflow_flowprovider.operators.watching import JobWatch
from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.launching import submit_task
from flowsdk.aws_batch.logs import LogReader
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError, Interrupted
from flowsdk.runtime.logs import LogLine, LogWriter
from flowsdk.spec import TaskSpec
from tests.airflow_flowprovider.operators.fakes import FLOW, RUN
from tests.flowsdk.aws_batch.fakes import FakeBatch, client_error, succeed

SPEC = TaskSpec(FLOW, RUN, "join", "0", 0, "root")


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.at: dict[float, object] = {}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        for moment in [m for m in self.at if m <= self.now - 1000]:
            self.at.pop(moment)()  # type: ignore[operator]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    return clock


class Watch:
    def __init__(self, jobs: BatchJobs, store: FlowDatastore, defaults: BatchDefaults) -> None:
        self.shown: list[str] = []
        self.killed = False
        self.store = store
        self.job_id = submit_task(jobs, store, SPEC, StepSettings(), defaults)
        self.watch = JobWatch(jobs, store, self.shown.append, self.check)
        self.log = LogReader(store, RUN, SPEC.ref)

    def check(self) -> None:
        if self.killed:
            raise Interrupted("killed")

    def __call__(self, seconds: float = 10.0) -> bool:
        job = Job(self.job_id, self.store.spec_uri(RUN, SPEC.ref))
        return self.watch.watch([job], (SPEC, self.log), seconds)


@pytest.fixture
def watch(jobs: BatchJobs, store: FlowDatastore, defaults: BatchDefaults) -> Watch:
    return Watch(jobs, store, defaults)


def test_a_quick_task_is_over_before_aws_is_asked(
    clock: Clock, watch: Watch, fake: FakeBatch
) -> None:
    clock.at[1.2] = lambda: succeed(watch.store, SPEC)
    assert watch()
    assert clock.now - 1000 <= 1.5
    assert fake.calls["DescribeJobs"] == 0


def test_a_running_job_is_given_up_when_time_is_up(
    clock: Clock, watch: Watch, fake: FakeBatch
) -> None:
    fake.change("job-0", "RUNNING")
    assert not watch(10.0)
    assert clock.now - 1000 == 10.0
    assert fake.calls["DescribeJobs"] <= 4


def test_a_job_that_waits_for_a_host_is_given_up_early(clock: Clock, watch: Watch) -> None:
    assert not watch(600.0)
    assert clock.now - 1000 < 5


def test_no_window_means_one_look(clock: Clock, watch: Watch) -> None:
    assert not watch(0.0)
    assert clock.now == 1000


def test_a_job_that_dies_without_a_result(clock: Clock, watch: Watch, fake: FakeBatch) -> None:
    fake.change("job-0", "RUNNING")
    clock.at[3.0] = lambda: fake.change("job-0", "FAILED", container={"exitCode": 1})
    assert watch()


def test_lines_are_shown_as_they_come(clock: Clock, watch: Watch, fake: FakeBatch) -> None:
    fake.change("job-0", "RUNNING")
    writer = LogWriter(watch.store, RUN, SPEC.ref)

    def say(text: str) -> None:
        writer.add([LogLine(1, "stdout", text)])
        writer.flush()

    clock.at[1.0] = lambda: say("one")
    clock.at[2.0] = lambda: (say("two"), watch.shown == ["one"] or pytest.fail("late"))
    watch(5.0)
    assert watch.shown == ["one", "two"]
    assert watch.log.next_chunk == 2


def test_a_task_that_airflow_ends_is_noticed_at_once(clock: Clock, watch: Watch) -> None:
    clock.at[1.0] = lambda: setattr(watch, "killed", True)
    with pytest.raises(Interrupted):
        watch()
    assert clock.now - 1000 <= 1.5


def test_an_aws_that_is_overloaded_or_away_is_no_reason_to_fail(
    clock: Clock, watch: Watch, fake: FakeBatch
) -> None:
    fake.fail("DescribeJobs", "TooManyRequestsException")
    away = client_error("DescribeJobs", "ServerException", "away", status=503)
    fake.errors["DescribeJobs"] += [away, ConnectionClosedError(endpoint_url="https://batch")]
    fake.change("job-0", "RUNNING")
    assert not watch()
    assert not fake.errors["DescribeJobs"]
    fake.fail("DescribeJobs", "AccessDeniedException", "not allowed")
    with pytest.raises(BatchError, match="not allowed"):
        watch()


def test_of_an_array_its_numbers_are_shown_whenever_they_change(
    clock: Clock, watch: Watch, fake: FakeBatch
) -> None:
    def count(**children: int) -> None:
        summary = {"size": 3, "statusSummary": children}
        status = "SUCCEEDED" if children.get("SUCCEEDED") == 3 else "PENDING"
        fake.change("job-0", status, arrayProperties=summary)

    count(RUNNING=1, RUNNABLE=2)
    clock.at[4.0] = lambda: count(RUNNING=2, SUCCEEDED=1)
    clock.at[9.0] = lambda: count(SUCCEEDED=3)
    assert watch.watch.watch([Job(watch.job_id, "s3://b/specs#0", 3)], None, 60.0)
    assert watch.shown == [
        "0 of 3 tasks ended; RUNNABLE 2, RUNNING 1",
        "1 of 3 tasks ended; RUNNING 2, SUCCEEDED 1",
        "3 of 3 tasks ended; SUCCEEDED 3",
    ]


def test_an_array_of_which_nothing_runs_is_given_up_early(
    clock: Clock, watch: Watch, fake: FakeBatch
) -> None:
    fake.change(
        "job-0", "PENDING", arrayProperties={"statusSummary": {"RUNNABLE": 3, "RUNNING": 0}}
    )
    assert not watch.watch.watch([Job(watch.job_id, "s3://b/specs#0", 3)], None, 60.0)
    assert clock.now - 1000 < 5
