"""The scheduler: moves jobs through their states, and places them where there is room."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_flowprovider.local.batch.attempts import AttemptRunner
from airflow_flowprovider.local.batch.executor import Executor
from airflow_flowprovider.local.batch.logs import LogStream
from airflow_flowprovider.local.batch.model import (
    BEFORE_START,
    TERMINAL,
    Attempt,
    ComputeEnvironment,
    Job,
    Queue,
    Status,
    StopRequest,
    now_ms,
)
from airflow_flowprovider.local.batch.retries import is_retried
from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.batch.validation import MAX_OVERRIDES_BYTES, overrides_too_long

TOO_LARGE = (
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - All compute environments have a maxVcpu "
    "setting that is smaller than the job requirements."
)
NO_SUCH_INSTANCE = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - All compute environments have no connected "
    "instances that meet the job requirements."
)
CHILD_FAILED = "Array Child Job failed"
DEPENDENCY_FAILED = "Dependent Job failed"


@dataclass
class _Waiting:
    """Jobs of one queue that wait for room, in the order in which they are to start."""

    queue: Queue
    heap: list[tuple[int, int, int, Job]] = field(default_factory=list)


class Engine:
    """Runs jobs.

    Purpose:
        The life of a job after SubmitJob has accepted it: delays, dependencies, array children,
        capacity, attempts and retries, timeouts, cancelling and terminating.

    How it works:
        One scheduler thread sleeps until the next timer or until something has changed; every
        running attempt has a thread of its own. All state is changed under :attr:`lock`, which
        readers of jobs hold too.

    What it does not do:
        Check requests (``service``), run processes (``executor``), or know about queues beyond
        what each job carries.

    Known limitation:
        A fair-share policy orders nothing: jobs of a queue start first in, first out. A job too
        large for its queue waits, and does not block the queue as it may on AWS.
    """

    def __init__(
        self,
        executor: Executor,
        settings: Settings,
        *,
        open_log: Callable[[str], LogStream],
        arn_prefix: str,
    ) -> None:
        self._settings = settings
        self._arn_prefix = arn_prefix.replace(":batch:", ":ecs:")
        self.lock = threading.RLock()
        self.jobs: dict[str, Job] = {}
        self._changed = threading.Condition(self.lock)
        self._closed = False
        self._serial = itertools.count()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._waiting: dict[str, _Waiting] = {}
        self._used_vcpus: defaultdict[str, float] = defaultdict(float)
        self._dependents: dict[str, list[Job]] = {}
        self._runner = AttemptRunner(executor, open_log, self.lock, self._move)
        self._thread = threading.Thread(target=self._run, name="batch-scheduler", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Take a new job into the state SUBMITTED."""
        with self.lock:
            for each in (job, *job.nodes):
                self.jobs[each.id] = each
            self._after(self._settings.submitted_seconds, lambda: self._leave_submitted(job))

    def cancel(self, job: Job, reason: str) -> None:
        """Cancel a job, or an array's children, that have not reached STARTING."""
        with self.lock:
            self._stop(job, StopRequest("cancel", reason))

    def terminate(self, job: Job, reason: str) -> None:
        """Stop a job, with all its children or nodes, wherever it stands."""
        with self.lock:
            self._stop(job, StopRequest("terminate", reason))

    def interrupt(self, job: Job, reason: str) -> None:
        """Take the host away from a job that has been placed; others are not affected."""
        with self.lock:
            if job.attempt and job.status in {"STARTING", "RUNNING"}:
                job.attempt.request_stop(StopRequest("interrupt", reason))

    def close(self) -> None:
        """Stop scheduling and terminate what runs."""
        with self.lock:
            self._closed = True
            for job in self.jobs.values():
                if job.attempt and job.status not in TERMINAL:
                    job.attempt.request_stop(StopRequest("terminate", "The service has stopped"))
            self._changed.notify_all()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                while self._timers and self._timers[0][0] <= now:
                    heapq.heappop(self._timers)[2]()
                self._place()
                self._changed.wait(self._timers[0][0] - now if self._timers else None)

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._serial), action))
        self._changed.notify_all()

    def _place(self) -> None:
        """Start waiting jobs while there is room for them."""
        by_priority = sorted(self._waiting.values(), key=lambda each: -each.queue.priority)
        for waiting in by_priority:
            while waiting.heap:
                job = waiting.heap[0][-1]
                if job.status == "RUNNABLE":
                    environment = self._room_for(job)
                    if environment is None:
                        break
                    self._start(job, environment)
                heapq.heappop(waiting.heap)

    def _room_for(self, job: Job) -> ComputeEnvironment | None:
        for environment in job.queue.environments:
            used = self._used_vcpus[environment.arn]
            if used + job.container.resources.vcpus <= environment.max_vcpus:
                return environment
        return None

    def _move(self, job: Job, status: Status, reason: str | None = None) -> None:
        array = job.parent if job.parent and job.parent.size else None
        if array:
            array.counts[job.status] -= 1
            array.counts[status] += 1
        job.status = status
        if reason is not None:
            job.status_reason = reason
        for node in job.nodes:  # what has not started, or starts anew, is where the job is
            if status in BEFORE_START or (status in TERMINAL and node.status not in TERMINAL):
                node.status = status
        self._changed.notify_all()
        if status not in TERMINAL:
            return
        job.stopped_at = now_ms()
        self._tell_dependents(job)
        if array:
            self._end_array(array)
        elif not job.parent:
            self._after(self._settings.retention_seconds, lambda: self._forget(job))

    def _leave_submitted(self, job: Job) -> None:
        if job.status != "SUBMITTED":
            return
        if overrides_too_long(job.request):
            reason = f"Container Overrides length must be at most {MAX_OVERRIDES_BYTES}"
            self._move(job, "FAILED", reason)
        elif job.size:
            self._move(job, "PENDING")
            self._spawn(job, job.size)
        else:
            self._await_dependencies(job)

    def _spawn(self, parent: Job, size: int) -> None:
        for index in range(size):
            child = parent.child(f":{index}", index, parent.container)
            child.status = "PENDING"
            parent.children.append(child)
            self.jobs[child.id] = child
        parent.counts["PENDING"] = size
        for child in parent.children:
            self._await_dependencies(child)

    def _await_dependencies(self, job: Job) -> None:
        for awaited in _awaited_ids(job):
            other = self.jobs.get(awaited)
            if other is not None and other.status == "FAILED":
                self._move(job, "FAILED", DEPENDENCY_FAILED)
                return
            if other is None or other.status != "SUCCEEDED":
                job.waits_for.add(awaited)
                self._dependents.setdefault(awaited, []).append(job)
        if job.waits_for:
            if job.status != "PENDING":
                self._move(job, "PENDING")
        else:
            self._make_runnable(job)

    def _tell_dependents(self, job: Job) -> None:
        ids = [job.id]
        if job.size and not job.children:  # it ended before it had any
            ids += [f"{job.id}:{index}" for index in range(job.size)]
        for awaited in ids:
            for dependent in self._dependents.pop(awaited, []):
                if dependent.status != "PENDING":
                    continue
                dependent.waits_for.discard(awaited)
                if job.status == "FAILED":
                    self._move(dependent, "FAILED", DEPENDENCY_FAILED)
                elif not dependent.waits_for and dependent.stop:
                    self._move(dependent, "FAILED", dependent.stop.reason)
                elif not dependent.waits_for:
                    self._make_runnable(dependent)

    def _make_runnable(self, job: Job, reason: str | None = None) -> None:
        needs = job.container.resources
        if all(needs.vcpus > each.max_vcpus for each in job.queue.environments):
            self._move(job, "RUNNABLE", TOO_LARGE)
        elif needs.gpus > self._settings.gpus:
            self._move(job, "RUNNABLE", NO_SUCH_INSTANCE)
        else:
            self._move(job, "RUNNABLE", reason)
            self._after(self._settings.runnable_seconds, lambda: self._await_room(job))

    def _await_room(self, job: Job) -> None:
        waiting = self._waiting.setdefault(job.queue.arn, _Waiting(job.queue))
        order = (job.sequence, job.index or 0, next(self._serial))
        heapq.heappush(waiting.heap, (*order, job))

    def _end_array(self, parent: Job) -> None:
        failed = parent.counts["FAILED"]
        if failed + parent.counts["SUCCEEDED"] < len(parent.children):
            return
        if parent.stop:
            self._move(parent, "FAILED" if failed else "SUCCEEDED", parent.stop.reason)
        elif failed:
            self._move(parent, "FAILED", CHILD_FAILED)
        else:
            self._move(parent, "SUCCEEDED")

    def _forget(self, job: Job) -> None:
        for each in (job, *job.children, *job.nodes):
            self.jobs.pop(each.id, None)

    def _start(self, job: Job, environment: ComputeEnvironment) -> None:
        self._used_vcpus[environment.arn] += job.container.resources.vcpus
        cluster = f"{environment.name}_Batch"
        job.attempt = Attempt(
            number=len(job.attempts) + 1,
            task_arn=f"{self._arn_prefix}task/{cluster}/{uuid.uuid4().hex}",
            instance_arn=f"{self._arn_prefix}container-instance/{cluster}/{uuid.uuid4().hex}",
        )
        self._move(job, "STARTING")
        threading.Thread(
            target=self._attempt,
            args=(job, job.attempt, environment),
            name=f"batch-{job.id}",
            daemon=True,
        ).start()

    def _attempt(self, job: Job, attempt: Attempt, environment: ComputeEnvironment) -> None:
        try:
            self._runner.run(job, attempt, environment)
        finally:
            with self.lock:
                self._used_vcpus[environment.arn] -= job.container.resources.vcpus
                self._end_attempt(job, attempt)

    def _end_attempt(self, job: Job, attempt: Attempt) -> None:
        job.attempts.append(attempt)
        if attempt.succeeded:
            self._move(job, "SUCCEEDED", attempt.status_reason)
        elif not self._closed and is_retried(job.retry_strategy, attempt, len(job.attempts)):
            self._make_runnable(job, attempt.status_reason)
        else:
            self._move(job, "FAILED", attempt.status_reason)

    def _stop(self, job: Job, stop: StopRequest) -> None:
        reached = stop.kind == "terminate" or job.status in BEFORE_START
        if job.status in TERMINAL or not reached:
            return
        job.cancelled |= stop.kind == "cancel"
        job.terminated |= stop.kind == "terminate"
        if job.children:
            job.stop = job.stop or stop
            for child in job.children:
                self._stop(child, stop)
        elif job.attempt and job.status in {"STARTING", "RUNNING"}:
            job.attempt.request_stop(stop)
            for node in job.nodes:
                self._stop(node, stop)
        elif job.waits_for:
            # "A PENDING job is cancelled after all dependency jobs are completed" (CancelJob).
            job.stop = job.stop or stop
        else:
            self._move(job, "FAILED", stop.reason)


def _awaited_ids(job: Job) -> list[str]:
    """Ids of the jobs that must succeed before this one, or this child, may run."""
    ids: list[str] = []
    for dependency in job.dependencies:
        kind = dependency.get("type")
        if kind == "SEQUENTIAL":
            if job.parent and job.index:
                ids.append(f"{job.parent.id}:{job.index - 1}")
        elif kind == "N_TO_N":
            ids.append(f"{dependency['jobId']}:{job.index}")
        else:
            ids.append(dependency["jobId"])
    return ids
