"""The laptop's launcher of AWS Batch jobs: ``python flow.py run --with batch``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from flowsdk.aws_batch.definition import BatchDefaults, read_gpu_queues
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.launching import (
    node_id,
    platform_of,
    settle,
    submit_gang,
    submit_task,
)
from flowsdk.aws_batch.logs import LogReader, container_log
from flowsdk.aws_batch.objections import refuse
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError, CorruptBlob, DatastoreError, FlowException
from flowsdk.runtime.logs import LogLine
from flowsdk.spec import TaskRef, TaskResult, TaskSpec
from flowsdk.taskset import by_cause

OnLines = Callable[[TaskSpec, list[LogLine]], None]

#: Between two looks at the datastore and at AWS Batch. A result in the datastore is seen by the
#: first; Batch is asked only after jobs that never came so far, and allows few requests.
_LOOK_SECONDS = 1.0
_DESCRIBE_SECONDS = 5.0
#: DescribeJobs may lag behind SubmitJob by a moment.
_UNKNOWN_SECONDS = 60.0
#: After so long without an answer from AWS a run gives up: credentials do not heal by themselves.
_GIVE_UP_SECONDS = 300.0
#: Two small GETs for each job and look: in turn, they would take seconds for a hundred jobs.
_PARALLEL_LOOKS = 16


def defaults_from(environment: Mapping[str, str]) -> BatchDefaults:
    """What is configured on a laptop: ``FLOWSDK_BATCH_QUEUE``, ``…_IMAGE`` and so on."""
    prefix = "FLOWSDK_BATCH_"
    return BatchDefaults(
        queue=environment.get(f"{prefix}QUEUE") or None,
        gpu_queues=read_gpu_queues(environment.get(f"{prefix}GPU_QUEUES"), f"{prefix}GPU_QUEUES"),
        image=environment.get(f"{prefix}IMAGE") or None,
        job_role=environment.get(f"{prefix}JOB_ROLE") or None,
        execution_role=environment.get(f"{prefix}EXECUTION_ROLE") or None,
    )


@dataclass
class _Job:
    """A job with one task.

    Attributes:
        spec: The task.
        submitted_at: By our clock.
        log: Of the task.
        gang: Id of the multi-node job that it is a node of; None if it is in none.
    """

    spec: TaskSpec
    submitted_at: float
    log: LogReader
    gang: str | None = None


class BatchLauncher:
    """Runs the tasks of a laptop's run as AWS Batch jobs.

    How it works:
        A task has ended when its result lies in the datastore, or when AWS Batch says that its job
        has; then the result says that it failed. A gang ends as a whole: which of its tasks has
        failed first, and made others fail, is known only when all have ended.

    Args:
        store: The flow's datastore, in S3.
        on_lines: Called with what tasks print.
        client: A boto3 Batch client; made from the environment if left out.
        defaults: Of all jobs; from the environment if left out.
    """

    def __init__(
        self,
        store: FlowDatastore,
        on_lines: OnLines,
        client: Any = None,
        defaults: BatchDefaults | None = None,
    ) -> None:
        self._store = store
        self._on_lines = on_lines
        self._jobs = batch_jobs() if client is None else BatchJobs(client)
        self._defaults = defaults or defaults_from(os.environ)
        self._out: dict[str, _Job] = {}
        self._held: dict[str, list[TaskResult]] = {}
        self._described_at = 0.0
        self._looked_at = 0.0
        self._answered_at = time.monotonic()
        self._troubled = False

    def __len__(self) -> int:
        return len(self._out) + sum(map(len, self._held.values()))

    def check(self, steps: Mapping[str, StepSettings]) -> None:
        """See to it, before a run begins, that AWS Batch will take the jobs of some steps.

        Raises:
            BatchError: With all that it would refuse.
        """
        errors = []
        for step, settings in steps.items():
            try:
                platform = platform_of(self._jobs, settings, self._defaults)
                refuse(step, settings, self._defaults, platform)
            except BatchError as error:
                errors.append(str(error))
        if errors:
            raise BatchError("\n".join(errors))

    def launch(self, specs: Sequence[TaskSpec], settings: StepSettings) -> list[str]:
        """Submit a job, of a gang with one node for each task; the ids as people see them."""
        if not self._defaults.queue_of(settings):
            self._defaults = replace(self._defaults, queue=self._jobs.first_enabled_queue())
        if len(specs) == 1:
            gang = None
            ids = [submit_task(self._jobs, self._store, specs[0], settings, self._defaults)]
        else:
            gang = submit_gang(self._jobs, self._store, specs, settings, self._defaults)
            ids = [node_id(gang, index) for index in range(len(specs))]
        for job_id, spec in zip(ids, specs, strict=True):
            log = LogReader(self._store, spec.run, spec.ref)
            self._out[job_id] = _Job(spec, time.monotonic(), log, gang)
        return [f"Batch job {job_id}" for job_id in ids]

    def poll(self, timeout: float) -> list[TaskResult]:
        """Wait up to ``timeout`` seconds; the results of the tasks that have ended."""
        wait = self._looked_at + _LOOK_SECONDS - time.monotonic()
        if wait > timeout:
            time.sleep(timeout)
            return []
        time.sleep(max(0.0, wait))
        self._looked_at = time.monotonic()
        results: list[TaskResult] = []
        try:
            for job, result in chain(self._with_result(), self._with_ended_job()):
                results += self._with_gang(job, result)
        except (BatchError, DatastoreError) as error:
            self._bear(error)
        else:
            self._answered_at, self._troubled = time.monotonic(), False
        return results

    def _with_gang(self, job: _Job, result: TaskResult) -> list[TaskResult]:
        """What there is to say when a task has ended: of a gang nothing until the last, then all."""
        if job.gang is None:
            return [result]
        held = self._held.setdefault(job.gang, [])
        held.append(result)
        if any(other.gang == job.gang for other in self._out.values()):
            return []
        return sorted(self._held.pop(job.gang), key=by_cause)

    def _bear(self, error: FlowException) -> None:
        """Go on without an answer for a while.

        Jobs that run do not need us, and hours of work must not end with a hiccup of the network.
        """
        if isinstance(error, CorruptBlob):
            raise error
        silent = time.monotonic() - self._answered_at
        if silent > _GIVE_UP_SECONDS:
            raise error
        if not self._troubled and self._out:
            self._troubled = True
            self._print(next(iter(self._out.values())), f"Waiting for AWS to answer again: {error}")

    def cancel(self, tasks: Collection[TaskRef], reason: str) -> None:
        """Terminate some of the jobs; their results come like all others."""
        jobs = [job.gang or job_id for job_id, job in self._out.items() if job.spec.ref in tasks]
        for job_id in dict.fromkeys(jobs):
            self._jobs.terminate(job_id, f"flowsdk: {reason}")

    def stop(self, reason: str) -> None:
        """Terminate all jobs; they end within AWS's grace period, which is not awaited."""
        for job_id, job in {job.gang or job_id: job for job_id, job in self._out.items()}.items():
            try:
                self._jobs.terminate(job_id, f"flowsdk: {reason}")
            except BatchError as error:
                # The others have to be stopped all the same; this one can be by hand.
                self._print(job, f"Batch job {job_id} could not be stopped: {error}")
        self._out.clear()
        self._held.clear()

    def _with_result(self) -> Iterator[tuple[_Job, TaskResult]]:
        if not self._out:
            return
        with ThreadPoolExecutor(min(_PARALLEL_LOOKS, len(self._out))) as pool:
            looks = dict(zip(self._out, pool.map(self._look, self._out.values()), strict=True))
        for job_id, (lines, result) in looks.items():
            if lines:
                self._on_lines(self._out[job_id].spec, lines)
            if result is not None:
                yield self._end(job_id, result)

    def _look(self, job: _Job) -> tuple[list[LogLine], TaskResult | None]:
        return list(job.log.new_lines()), self._store.find_result(job.spec.run, job.spec.ref)

    def _with_ended_job(self) -> Iterator[tuple[_Job, TaskResult]]:
        now = time.monotonic()
        if not self._out or now - self._described_at < _DESCRIBE_SECONDS:
            return
        self._described_at = now
        # Of a gang the job as a whole: nodes are there only while it runs.
        states = self._jobs.describe(job.gang or job_id for job_id, job in self._out.items())
        ended = {}
        for job_id, job in self._out.items():
            state = states.get(job.gang or job_id)
            if state is None and now - job.submitted_at > _UNKNOWN_SECONDS:
                state = JobState(job_id)
            if state is not None and state.finished:
                ended[job_id] = state
        nodes = self._jobs.describe(job_id for job_id in ended if self._out[job_id].gang)
        for job_id, state in ended.items():
            own = nodes.get(job_id, replace(state, id=job_id))
            if own.finished:  # a node may take a moment to end after the main one
                self._explain(self._out[job_id], own)
                result = settle(self._store, self._out[job_id].spec, own)
                yield self._end(job_id, result)

    def _end(self, job_id: str, result: TaskResult) -> tuple[_Job, TaskResult]:
        """The log is complete when the result is there: read the rest, and forget the job."""
        job = self._out[job_id]
        self._stream(job)
        del self._out[job_id]  # after what may fail, so that the next look finds it again
        return job, result

    def _stream(self, job: _Job) -> None:
        lines = list(job.log.new_lines())
        if lines:
            self._on_lines(job.spec, lines)

    def _explain(self, job: _Job, state: JobState) -> None:
        """Show what the container printed if our own code in it never came to writing a log."""
        self._stream(job)
        if job.log.next_chunk == 0 and state.log_stream and not state.succeeded:
            for text in container_log(_client("logs"), state.log_stream):
                self._print(job, text)

    def _print(self, job: _Job, text: str) -> None:
        self._on_lines(job.spec, [LogLine(time.time_ns() // 1_000_000, "stderr", text)])


def batch_jobs() -> BatchJobs:
    """AWS Batch, with the credentials and the region of the environment."""
    return BatchJobs(_client("batch"), lambda: _client("batch", attempts=1))


def _client(service: str, attempts: int = 9) -> Any:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    # Standard: adaptive would hold back all requests of the client after one was throttled.
    session: Any = boto3.session.Session()
    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    try:
        return session.client(service, config=Config(retries=retries))
    except BotoCoreError as error:  # no region, no such profile
        raise BatchError(
            f"AWS {service}: {error} Set AWS_DEFAULT_REGION or AWS_PROFILE, and see that the AWS "
            f"configuration is complete."
        ) from error
