"""The scheduler, with attempts that end when the test says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from airflow_flowprovider.local.batch.container import Container
from airflow_flowprovider.local.batch.executor import Ending
from airflow_flowprovider.local.batch.logs import LogEvent, LogStream
from airflow_flowprovider.local.batch.model import Attempt, ComputeEnvironment, Queue
from airflow_flowprovider.local.batch.service import BatchService
from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.batch.validation import RequestRefusedError
from tests.airflow_flowprovider.local.conftest import wait_for


class ScriptedExecutor:
    """Runs nothing: every attempt goes on until it is told its ending, or to stop."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.running: dict[str, Callable[[Ending], None]] = {}
        self.always: Ending | None = None
        self.most_at_once = 0
        self._lock = threading.Lock()

    def run(
        self,
        container: Container,
        environment: Mapping[str, str],
        attempt: Attempt,
        *,
        timeout: float | None,
        log: Callable[[], LogStream],
        on_running: Callable[[], None],
    ) -> Ending:
        job_id = environment["AWS_BATCH_JOB_ID"]
        endings: list[Ending] = []
        told = threading.Event()

        def end(ending: Ending) -> None:
            endings.append(ending)
            told.set()

        with self._lock:
            self.started.append(job_id)
            self.running[job_id] = end
            self.most_at_once = max(self.most_at_once, len(self.running))
        on_running()
        if self.always:
            end(self.always)
        while not told.wait(0.005):
            if attempt.stopping.is_set():
                end(Ending(143))
        with self._lock:
            del self.running[job_id]
        return endings[0]


class NoLog:
    def put(self, events: list[LogEvent]) -> None:
        raise AssertionError("a scripted attempt writes nothing")


class Bench:
    """A service over two queues that share a compute environment of four vCPUs."""

    def __init__(self, **settings: Any) -> None:
        self.executor = ScriptedExecutor()
        environment = ComputeEnvironment("arn:ce", "ce", 4)
        self.queues = {
            name: Queue(f"arn:{name}", name, True, priority, False, (environment,))
            for name, priority in (("low", 1), ("high", 9))
        }
        delays = {"submitted_seconds": 0, "runnable_seconds": 0, "starting_seconds": 0}
        self.service = BatchService(
            self.executor,
            Settings(**{**delays, **settings}),
            find_queue=self.queues.get,
            open_log=lambda _: NoLog(),
            tags_of=lambda _: {},
            tag=lambda *_: None,
            arn_prefix="arn:aws:batch:us-east-1:1:",
        )
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
        self.service.register_job_definition(
            {
                "jobDefinitionName": "jd",
                "type": "container",
                "containerProperties": {"image": "i", "resourceRequirements": needs},
            }
        )

    def submit(self, name: str, *, queue: str = "low", vcpus: int = 1, **more: Any) -> str:
        needs = [{"type": "VCPU", "value": str(vcpus)}]
        request = {
            "jobName": name,
            "jobQueue": queue,
            "jobDefinition": "jd",
            "containerOverrides": {"resourceRequirements": needs},
            **more,
        }
        return str(self.service.submit_job(request)["jobId"])

    def job(self, job_id: str) -> dict[str, Any]:
        found = self.service.describe_jobs({"jobs": [job_id]})["jobs"]
        return dict(found[0]) if found else {"status": "unknown"}

    def reach(self, job_id: str, status: str) -> dict[str, Any]:
        wait_for(lambda: self.job(job_id)["status"] == status)
        return self.job(job_id)

    def end(self, job_id: str, exit_code: int = 0) -> None:
        wait_for(lambda: job_id in self.executor.running)
        self.executor.running[job_id](Ending(exit_code))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.service.close()


def test_no_more_vcpus_are_used_than_there_are(bench: Bench) -> None:
    large = bench.submit("large", vcpus=3)
    bench.reach(large, "RUNNING")
    second = bench.submit("second", vcpus=2)
    bench.reach(second, "RUNNABLE")
    bench.end(large)
    bench.reach(second, "RUNNING")
    bench.executor.always = Ending(0)
    array = bench.submit("array", arrayProperties={"size": 40})
    bench.end(second)
    bench.reach(array, "SUCCEEDED")
    assert bench.executor.most_at_once <= 4


def test_jobs_start_first_in_first_out_and_by_priority_of_their_queue(bench: Bench) -> None:
    blocker = bench.submit("blocker", vcpus=4)
    bench.reach(blocker, "RUNNING")
    low = [bench.submit(f"low-{n}", vcpus=4) for n in range(2)]
    high = [bench.submit(f"high-{n}", vcpus=4, queue="high") for n in range(2)]
    for job_id in (*low, *high):
        bench.reach(job_id, "RUNNABLE")
    bench.executor.always = Ending(0)
    bench.end(blocker)
    for job_id in (*low, *high):
        bench.reach(job_id, "SUCCEEDED")
    assert bench.executor.started == [blocker, *high, *low]


def test_the_largest_array_keeps_its_summary_and_ends() -> None:
    bench = Bench()
    bench.executor.always = Ending(0)
    job_id = bench.submit("wide", arrayProperties={"size": 10_000})
    wait_for(lambda: bench.job(job_id)["arrayProperties"]["statusSummary"]["SUCCEEDED"] > 100)
    counted = bench.job(job_id)["arrayProperties"]["statusSummary"]
    assert sum(counted.values()) == 10_000
    bench.service.terminate_job({"jobId": job_id, "reason": "seen enough"})
    parent = bench.reach(job_id, "FAILED")
    assert parent["statusReason"] == "seen enough"
    bench.service.close()


def test_a_failed_dependency_fails_its_dependents_down_the_line(bench: Bench) -> None:
    first = bench.submit("first")
    second = bench.submit("second", dependsOn=[{"jobId": first}])
    third = bench.submit("third", dependsOn=[{"jobId": second}])
    bench.reach(third, "PENDING")
    bench.end(first, 1)
    assert bench.reach(third, "FAILED")["statusReason"] == "Dependent Job failed"
    assert bench.reach(second, "FAILED")["attempts"] == []


def test_sequential_children_run_one_after_another(bench: Bench) -> None:
    bench.executor.always = Ending(0)
    dependency = [{"type": "SEQUENTIAL"}]
    job_id = bench.submit("seq", arrayProperties={"size": 5}, dependsOn=dependency)
    bench.reach(job_id, "SUCCEEDED")
    assert bench.executor.started == [f"{job_id}:{n}" for n in range(5)]
    assert bench.executor.most_at_once == 1


def test_n_to_n_children_wait_for_their_counterparts_only(bench: Bench) -> None:
    first = bench.submit("first", arrayProperties={"size": 2})
    dependency = [{"type": "N_TO_N", "jobId": first}]
    second = bench.submit("second", arrayProperties={"size": 2}, dependsOn=dependency)
    bench.reach(f"{first}:0", "RUNNING")
    bench.reach(second, "PENDING")
    bench.end(f"{first}:1")
    bench.reach(f"{second}:1", "RUNNING")
    assert bench.job(f"{second}:0")["status"] == "PENDING"
    bench.end(f"{first}:0", 1)
    assert bench.reach(f"{second}:0", "FAILED")["statusReason"] == "Dependent Job failed"
    bench.end(f"{second}:1")
    assert bench.reach(second, "FAILED")["statusReason"] == "Array Child Job failed"


def test_n_to_n_arrays_are_of_one_size(bench: Bench) -> None:
    first = bench.submit("first", arrayProperties={"size": 2})
    dependency = [{"type": "N_TO_N", "jobId": first}]
    with pytest.raises(RequestRefusedError, match="arrays of the same size"):
        bench.submit("second", arrayProperties={"size": 3}, dependsOn=dependency)


def test_cancelling_waits_for_dependencies_and_spares_what_has_started(bench: Bench) -> None:
    first = bench.submit("first")
    second = bench.submit("second", dependsOn=[{"jobId": first}])
    bench.reach(first, "RUNNING")
    bench.reach(second, "PENDING")
    for job_id in (first, second):
        bench.service.cancel_job({"jobId": job_id, "reason": "changed my mind"})
    assert (bench.job(first)["status"], bench.job(first)["isCancelled"]) == ("RUNNING", False)
    assert (bench.job(second)["status"], bench.job(second)["isCancelled"]) == ("PENDING", True)
    bench.end(first)
    assert bench.reach(second, "FAILED")["statusReason"] == "changed my mind"
    assert bench.job(first)["status"] == "SUCCEEDED"


def test_cancelling_an_array_ends_only_children_that_have_not_started(bench: Bench) -> None:
    job_id = bench.submit("array", arrayProperties={"size": 6})
    for index in range(4):  # as many as there are vCPUs
        bench.reach(f"{job_id}:{index}", "RUNNING")
    bench.service.cancel_job({"jobId": job_id, "reason": "enough"})
    assert [bench.job(f"{job_id}:{n}")["status"] for n in (3, 4, 5)] == [
        "RUNNING",
        "FAILED",
        "FAILED",
    ]
    for index in range(4):
        bench.end(f"{job_id}:{index}")
    assert bench.reach(job_id, "FAILED")["statusReason"] == "enough"


def test_only_a_lost_host_is_retried_among_the_stops(bench: Bench) -> None:
    strategy = {"attempts": 2}
    lost = bench.submit("lost", retryStrategy=strategy)
    stopped = bench.submit("stopped", retryStrategy=strategy)
    for job_id in (lost, stopped):
        bench.reach(job_id, "RUNNING")
    bench.service.interrupt_job(lost, "Host EC2 (instance i-1) terminated.")
    wait_for(lambda: len(bench.job(lost)["attempts"]) == 1)
    bench.end(lost)
    assert len(bench.reach(lost, "SUCCEEDED")["attempts"]) == 2
    bench.service.terminate_job({"jobId": stopped, "reason": "stop"})
    assert len(bench.reach(stopped, "FAILED")["attempts"]) == 1


def test_a_gpu_that_is_not_there_keeps_a_job_runnable(bench: Bench) -> None:
    needs = [{"type": "GPU", "value": "1"}]
    job_id = bench.submit("gpu", containerOverrides={"resourceRequirements": needs})
    reason = bench.reach(job_id, "RUNNABLE")["statusReason"]
    assert reason.startswith("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - ")


def test_finished_jobs_are_forgotten_after_a_while() -> None:
    bench = Bench(retention_seconds=0.05)
    bench.executor.always = Ending(0)
    single = bench.submit("single")
    array = bench.submit("array", arrayProperties={"size": 2})
    for job_id in (single, array, f"{array}:0"):
        bench.reach(job_id, "unknown")
    bench.service.close()
