from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from airflow_flowprovider.operators.launching import Job, Launcher, Tries, part_of
from airflow_flowprovider.operators.progress import Progress
from flowsdk.aws_batch import launching
from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from flowsdk.flow import graph_of
from flowsdk.planning import task_id
from flowsdk.spec import ErrorInfo, Splits, TaskRef, TaskSpec
from flowsdk.succession import Planned
from tests.airflow_flowprovider.operators.fakes import FLOW, RUN, FakeTaskInstance
from tests.airflow_flowprovider.operators.flows import LoopFlow, SampleFlow
from tests.flowsdk.aws_batch.fakes import FakeBatch, commit, succeed

FIRST = Tries(0, 0)
USER = ErrorInfo("user", "builtins.ValueError", "no")
SPLITS = Splits("names", 5, "digest", tuple("abcde"))
ONE = [Planned()]
FIVE = [Planned((TaskRef("start", "0", 0),), (SPLITS.frame("start", n),)) for n in range(5)]


class Worker:
    """One worker after another launches the same task instance."""

    def __init__(self, jobs: BatchJobs, store: FlowDatastore, defaults: BatchDefaults) -> None:
        self.jobs, self.store, self.defaults = jobs, store, defaults

    def spec(self, attempt: int = 0, task: str = "0", run: str = RUN) -> TaskSpec:
        return TaskSpec(FLOW, run, "join", task, attempt, self.store.storage.root)

    def launch(
        self, tries: Tries, tasks: Sequence[Planned] = ONE, part: str = "0", run: str = RUN
    ) -> list[Job]:
        """What ``FlowStepOperator`` does up to the point where it waits for jobs."""

        def make(task: Planned, iteration: int) -> TaskSpec:
            name = task_id(task.foreach, iteration) if task.foreach else part
            spec = self.spec(tries.attempt, name, run)
            return replace(spec, foreach=task.foreach, parents=task.parents)

        progress = Progress(self.store, graph_of(SampleFlow)["join"], tasks, make)
        settings = StepSettings(retry_times=1, memory_mib=1000, oom_factor=2)
        launcher = Launcher(self.jobs, self.store, settings, self.defaults, part, tries)
        jobs = launcher.take_over(progress)
        if not launcher.is_new:
            progress.look(tries.all())
        return launcher.launch(progress, 0, jobs)


@pytest.fixture
def worker(jobs: BatchJobs, store: FlowDatastore, defaults: BatchDefaults) -> Worker:
    return Worker(jobs, store, defaults)


@pytest.mark.parametrize(
    ("try_number", "max_tries", "tries"),
    [
        (1, 3, Tries(0, 0)),
        (3, 3, Tries(2, 0)),
        (4, 6, Tries(3, 3)),  # cleared after three tries: Airflow adds them to max_tries
        (5, 6, Tries(4, 3)),
        (
            2,
            1,
            Tries(1, 0, last=True),
        ),  # the DAG allows more retries now than when the task was first tried
    ],
)
def test_generations(try_number: int, max_tries: int, tries: Tries) -> None:
    ti = FakeTaskInstance("join", try_number=try_number, max_tries=max_tries)
    assert Tries.of(ti, 3) == tries


def test_parts() -> None:
    assert part_of(FakeTaskInstance("join")) == "0"
    assert part_of(FakeTaskInstance("body", 7)) == "7"


def test_a_first_attempt_is_submitted_without_a_look(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    (job,) = worker.launch(FIRST)
    assert job == Job("job-0", store.spec_uri(RUN, TaskRef("join", "0", 0)))
    assert job.tasks(store) == [worker.spec()]
    assert set(fake.calls) == {"SubmitJob", "RegisterJobDefinition"}
    assert fake.names()[0].endswith("-g0-0")
    assert "arrayProperties" not in fake.jobs["job-0"]["request"]


@pytest.mark.parametrize("status", ["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"])
def test_the_next_worker_adopts_an_active_job(fake: FakeBatch, worker: Worker, status: str) -> None:
    first = worker.launch(FIRST)
    fake.change("job-0", status)
    assert worker.launch(Tries(1, 0)) == first
    assert worker.launch(Tries(2, 0)) == first
    assert len(fake.jobs) == 1


def test_the_same_try_again_adopts_its_own_job(fake: FakeBatch, worker: Worker) -> None:
    assert worker.launch(FIRST) == worker.launch(FIRST)
    assert len(fake.jobs) == 1


def test_a_worker_that_died_before_submitting_leaves_the_work_to_the_next(
    worker: Worker, store: FlowDatastore
) -> None:
    store.write_spec(worker.spec())
    assert worker.launch(FIRST)[0].id == "job-0"


def test_an_earlier_success_needs_no_job(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    worker.launch(FIRST)
    succeed(store, worker.spec(), batch_job="job-0")
    fake.jobs.clear()  # AWS forgets finished jobs
    assert worker.launch(Tries(1, 0)) == []
    assert not fake.jobs


def test_a_job_that_has_failed_is_followed_by_another(fake: FakeBatch, worker: Worker) -> None:
    worker.launch(FIRST)
    fake.change("job-0", "FAILED")
    assert worker.launch(Tries(1, 0))[0].id == "job-1"
    assert fake.names()[1].endswith("-g0-1")


def test_a_job_that_is_ending_is_not_adopted(
    fake: FakeBatch, worker: Worker, jobs: BatchJobs
) -> None:
    worker.launch(FIRST)
    fake.change("job-0", "RUNNING")
    jobs.terminate("job-0", "by a user")
    assert worker.launch(Tries(1, 0))[0].id == "job-1"


def test_of_a_loop_the_iteration_that_is_at_work_is_adopted(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    def make(attempt: int, task: Planned, iteration: int) -> TaskSpec:
        spec = worker.spec(attempt, task_id(task.foreach, iteration))
        return replace(spec, step="start", parents=task.parents)

    def work(tries: Tries) -> tuple[Launcher, Progress]:
        node = graph_of(LoopFlow)["start"]
        progress = Progress(store, node, ONE, partial(make, tries.attempt))
        return (
            Launcher(worker.jobs, store, StepSettings(), worker.defaults, "0", tries),
            progress,
        )

    launcher, progress = work(FIRST)
    assert launcher.take_over(progress) == []
    launcher.launch(progress, 0)
    succeed(store, make(0, Planned(), 0), next=("start",))
    fake.change("job-0", "SUCCEEDED")
    progress.look(FIRST.all())
    second = launcher.launch(progress, 1)
    fake.change("job-1", "RUNNING")
    launcher, progress = work(Tries(1, 0))
    assert launcher.take_over(progress) == second
    assert [spec.task for spec in second[0].tasks(store)] == ["0.1"]


def test_jobs_of_other_tasks_are_none_of_its_business(worker: Worker) -> None:
    worker.launch(FIRST, part="1")
    assert worker.launch(Tries(1, 0), part="11")[0].id == "job-1"
    assert worker.launch(Tries(1, 0), part="1", run="other")[0].id == "job-2"


def test_a_cleared_task_runs_afresh_and_alone(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    worker.launch(FIRST)
    succeed(store, worker.spec(), batch_job="job-0")
    fake.change("job-0", "SUCCEEDED")
    assert worker.launch(Tries(1, 1))[0].id == "job-1"
    assert worker.launch(Tries(2, 2))[0].id == "job-2"
    assert "isTerminated" not in fake.jobs["job-0"]
    assert fake.jobs["job-1"]["isTerminated"]
    # And its retry finds that job, not those from before.
    assert worker.launch(Tries(3, 2))[0].id == "job-2"


@pytest.mark.parametrize("tries", [Tries(1, 1), Tries(2, 1)], ids=["same", "next"])
def test_a_job_from_before_a_clear_is_ended_though_the_first_try_since_then_has_died(
    fake: FakeBatch, worker: Worker, store: FlowDatastore, tries: Tries
) -> None:
    worker.launch(FIRST)
    store.write_spec(worker.spec(1))  # it has begun
    assert worker.launch(tries)[0].id == "job-1"
    assert fake.jobs["job-0"]["isTerminated"]
    assert "isTerminated" not in fake.jobs["job-1"]


def test_a_worker_that_was_given_up_ends_no_job_of_a_later_try(
    fake: FakeBatch, worker: Worker
) -> None:
    worker.launch(FIRST)
    assert worker.launch(Tries(2, 2))[0].id == "job-1"
    worker.launch(Tries(1, 1))
    assert fake.jobs["job-0"]["isTerminated"]
    assert "isTerminated" not in fake.jobs["job-1"]


def test_the_same_try_of_a_cleared_task_again_adopts_its_own_job(
    fake: FakeBatch, worker: Worker
) -> None:
    assert worker.launch(Tries(1, 1)) == worker.launch(Tries(1, 1))
    assert "isTerminated" not in fake.jobs["job-0"]


def test_a_job_that_cannot_be_ended_does_not_keep_a_cleared_task_from_running(
    fake: FakeBatch, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.launch(FIRST)
    fake.fail("TerminateJob", "AccessDeniedException", "not allowed")
    assert worker.launch(Tries(1, 1))[0].id == "job-1"
    assert "not allowed" in caplog.text


# -- several tasks


def tasks_of(store: FlowDatastore, jobs: Sequence[Job]) -> list[str]:
    return [spec.task for job in jobs for spec in job.tasks(store)]


def test_several_tasks_are_one_array_and_one_object(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    (job,) = worker.launch(FIRST, FIVE)
    assert job == Job("job-0", store.specs_uri(RUN, "0.0.0", TaskRef("join", "0", 0)) + "#0", 5)
    assert tasks_of(store, [job]) == ["0", "1", "2", "3", "4"]
    request = fake.jobs["job-0"]["request"]
    assert request["arrayProperties"] == {"size": 5}
    assert request["containerOverrides"]["command"][-1] == job.specs
    assert fake.calls["SubmitJob"] == 2  # the first finds that there is no definition yet


def test_more_tasks_than_an_array_holds(
    fake: FakeBatch, worker: Worker, store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "MAX_ARRAY", 2)
    jobs = worker.launch(FIRST, FIVE)
    assert [(job.size, job.specs[-2:]) for job in jobs] == [(2, "#0"), (2, "#2"), (1, "#4")]
    assert tasks_of(store, jobs) == ["0", "1", "2", "3", "4"]
    assert [name.partition("-g0-")[2] for name in fake.names()] == ["0", "0-0-1", "0-0-2"]
    for job in jobs:
        fake.change(job.id, "PENDING")
    assert sorted(worker.launch(Tries(1, 0), FIVE), key=lambda job: job.id) == jobs


def test_members_that_have_succeeded_are_not_run_again(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    worker.launch(FIRST, FIVE)
    for task in ("0", "2", "3"):
        succeed(store, worker.spec(task=task))
    commit(store, worker.spec(task="1"), status="failed", error=USER)
    fake.change("job-0", "FAILED")
    again = worker.launch(Tries(1, 0), FIVE)
    assert [(spec.task, spec.attempt, spec.retry_count) for spec in again[0].tasks(store)] == [
        ("1", 1, 1),
        ("4", 1, 0),
    ]
    succeed(store, worker.spec(1, "4"))
    commit(store, worker.spec(1, "1"), status="failed", error=USER)
    fake.change("job-1", "FAILED")
    (last,) = worker.launch(Tries(2, 0), FIVE)
    assert (last.size, tasks_of(store, [last])) == (1, ["1"])
    assert last.tasks(store)[0].retry_count == 2


def test_arrays_that_are_out_keep_the_object_they_read(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    """A worker has died between writing and submitting; part of the tasks is done by then."""
    store.write_specs("0.0.0", [replace(worker.spec(task=str(n)), retry_count=7) for n in range(5)])
    (job,) = worker.launch(FIRST, FIVE)
    assert job.specs.endswith("/0.0.1/0/specs#0")
    assert {spec.retry_count for spec in job.tasks(store)} == {0}


def test_a_job_that_can_bring_nothing_new_is_not_waited_for(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    """Its task has just said that it has failed, and the job takes a moment to end."""
    worker.launch(FIRST)
    commit(store, worker.spec(), status="failed", error=USER)
    fake.change("job-0", "RUNNING")
    assert [job.id for job in worker.launch(Tries(1, 0))] == ["job-1"]


def test_what_an_adopted_array_lacks_is_launched_beside_it(
    fake: FakeBatch, worker: Worker, store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker has died between two arrays, and of the first a task has failed already."""
    monkeypatch.setattr(launching, "MAX_ARRAY", 3)
    worker.launch(FIRST, FIVE)
    commit(store, worker.spec(task="1"), status="failed", error=USER)
    fake.change("job-0", "PENDING")
    del fake.jobs["job-1"]
    adopted, beside = worker.launch(Tries(1, 0), FIVE)
    assert (adopted.id, adopted.size) == ("job-0", 3)
    assert [(s.task, s.attempt) for s in beside.tasks(store)] == [("1", 1), ("3", 1), ("4", 1)]


def test_the_same_try_again_submits_nothing_for_what_has_ended(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    worker.launch(FIRST, FIVE)
    for task in "0123":
        succeed(store, worker.spec(task=task))
    commit(store, worker.spec(task="4"), status="failed", error=USER)
    fake.change("job-0", "FAILED")
    assert worker.launch(FIRST, FIVE) == []
    assert fake.calls["SubmitJob"] == 2  # as before: one for the definition, and the job


@pytest.mark.parametrize("last", [False, True])
def test_if_not_all_jobs_can_be_submitted_none_goes_on_for_nobody(
    fake: FakeBatch, worker: Worker, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    monkeypatch.setattr(launching, "MAX_ARRAY", 3)
    submit = fake.submit_job

    def refuse_the_second(**request: Any) -> Any:
        if fake.jobs:
            fake.fail("SubmitJob", "ClientException")
        return submit(**request)

    monkeypatch.setattr(fake, "submit_job", refuse_the_second)
    with pytest.raises(BatchError):
        worker.launch(Tries(0, 0, last), FIVE)
    assert len(fake.jobs) == 1
    # Otherwise the next try takes it up.
    assert fake.jobs["job-0"].get("isTerminated", False) == last


def test_tasks_that_run_again_together_get_the_memory_that_one_of_them_lacks(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    worker.launch(FIRST, FIVE)
    for task in "012":
        succeed(store, worker.spec(task=task))
    oom = ErrorInfo("user", "flowsdk.aws_batch.OutOfMemory", "no")
    commit(store, worker.spec(task="3"), status="failed", error=oom)
    commit(store, worker.spec(task="4"), status="failed", error=USER)
    fake.change("job-0", "FAILED")
    (job,) = worker.launch(Tries(1, 0), FIVE)
    assert tasks_of(store, [job]) == ["3", "4"]
    assert [
        next(r["value"] for r in job["container"]["resourceRequirements"] if r["type"] == "MEMORY")
        for job in fake.jobs.values()
    ] == ["1000", "2000"]


# -- gangs


def gang(count: int, *outer: int) -> list[Planned]:
    splits = Splits("", count, "", tuple(map(str, range(count))))
    around = tuple(SPLITS.frame("start", n) for n in outer)
    return [
        Planned((TaskRef("body", "0", 0),), (*around, splits.frame("body", n)))
        for n in range(count)
    ]


def test_a_gang_is_a_job_of_several_nodes(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    (job,) = worker.launch(FIRST, gang(3))
    assert (job.size, job.gang, job.child(2)) == (3, True, "job-0#2")
    assert tasks_of(store, [job]) == ["0", "1", "2"]
    request = fake.jobs["job-0"]["request"]
    assert request["nodeOverrides"]["numNodes"] == 3
    assert fake.definitions[request["jobDefinition"]]["type"] == "multinode"
    fake.change("job-0", "RUNNING")
    assert worker.launch(Tries(1, 0), gang(3)) == [job]
    assert Job.of(job.to_plain()) == job


def test_a_gang_is_run_again_as_a_whole(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    worker.launch(FIRST, gang(3))
    succeed(store, worker.spec(task="0"))
    commit(store, worker.spec(task="2"), status="failed", error=USER)
    fake.change("job-0", "FAILED")
    (job,) = worker.launch(Tries(1, 0), gang(3))
    assert [(spec.task, spec.attempt, spec.retry_count) for spec in job.tasks(store)] == [
        ("0", 1, 1),
        ("1", 1, 1),
        ("2", 1, 1),
    ]


def test_each_gang_of_several_has_its_own_job_and_gangs_of_one_need_none_of_their_kind(
    fake: FakeBatch, worker: Worker, store: FlowDatastore
) -> None:
    tasks = [*gang(2, 0), *gang(1, 1), *gang(1, 2), *gang(3, 3), *gang(1, 4)]
    jobs = worker.launch(FIRST, tasks)
    assert [(job.size, job.gang) for job in jobs] == [
        (2, True),
        (2, False),
        (3, True),
        (1, False),
    ]
    assert [spec.task for spec in jobs[2].tasks(store)] == ["3-0", "3-1", "3-2"]
    for job in jobs:
        fake.change(job.id, "RUNNING")
    assert sorted(worker.launch(Tries(1, 0), tasks), key=lambda job: job.id) == jobs
