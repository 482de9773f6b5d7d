"""The laptop's launcher of AWS Batch jobs: ``python flow.py run --with batch``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from flowsdk.aws_batch.definition import BatchDefaults, read_gpu_queues
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.launching import platform_of, settle, submit_task
from flowsdk.aws_batch.logs import LogReader, container_log
from flowsdk.aws_batch.objections import refuse
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError, CorruptBlob, DatastoreError, FlowException
from flowsdk.runtime.logs import LogLine
from flowsdk.spec import TaskRef, TaskResult, TaskSpec

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
    spec: TaskSpec
    submitted_at: float
    log: LogReader


class BatchLauncher:
    """Runs the tasks of a laptop's run as AWS Batch jobs.

    How it works:
        A task has ended when its result lies in the datastore, or when AWS Batch says that its job
        has; then the result says that it failed.

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
        self._described_at = 0.0
        self._looked_at = 0.0
        self._answered_at = time.monotonic()
        self._troubled = False

    def __len__(self) -> int:
        return len(self._out)

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

    def launch(self, spec: TaskSpec, settings: StepSettings) -> str:
        """Submit a job; its id as people see it."""
        if not self._defaults.queue_of(settings):
            self._defaults = replace(self._defaults, queue=self._jobs.first_enabled_queue())
        job_id = submit_task(self._jobs, self._store, spec, settings, self._defaults)
        log = LogReader(self._store, spec.run, spec.ref)
        self._out[job_id] = _Job(spec, time.monotonic(), log)
        return f"Batch job {job_id}"

    def poll(self, timeout: float) -> list[TaskResult]:
        """Wait up to ``timeout`` seconds; the results of the tasks that have ended."""
        wait = self._looked_at + _LOOK_SECONDS - time.monotonic()
        if wait > timeout:
            time.sleep(timeout)
            return []
        time.sleep(max(0.0, wait))
        self._looked_at = time.monotonic()
        try:
            results = [*self._with_result(), *self._with_ended_job()]
        except (BatchError, DatastoreError) as error:
            self._bear(error)
            return []
        self._answered_at, self._troubled = time.monotonic(), False
        return results

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
        for job_id, job in self._out.items():
            if job.spec.ref in tasks:
                self._jobs.terminate(job_id, f"flowsdk: {reason}")

    def stop(self, reason: str) -> None:
        """Terminate all jobs; they end within AWS's grace period, which is not awaited."""
        for job_id in list(self._out):
            try:
                self._jobs.terminate(job_id, f"flowsdk: {reason}")
            except BatchError as error:
                # The others have to be stopped all the same; this one can be by hand.
                self._print(self._out[job_id], f"Batch job {job_id} could not be stopped: {error}")
        self._out.clear()

    def _with_result(self) -> list[TaskResult]:
        if not self._out:
            return []
        with ThreadPoolExecutor(min(_PARALLEL_LOOKS, len(self._out))) as pool:
            looks = dict(zip(self._out, pool.map(self._look, self._out.values()), strict=True))
        results = []
        for job_id, (lines, result) in looks.items():
            if lines:
                self._on_lines(self._out[job_id].spec, lines)
            if result is not None:
                results.append(self._end(job_id, result))
        return results

    def _look(self, job: _Job) -> tuple[list[LogLine], TaskResult | None]:
        return list(job.log.new_lines()), self._store.find_result(job.spec.run, job.spec.ref)

    def _with_ended_job(self) -> list[TaskResult]:
        now = time.monotonic()
        if not self._out or now - self._described_at < _DESCRIBE_SECONDS:
            return []
        self._described_at = now
        states = self._jobs.describe(self._out)
        results = []
        for job_id, job in list(self._out.items()):
            state = states.get(job_id)
            if state is None and now - job.submitted_at > _UNKNOWN_SECONDS:
                state = JobState(job_id)
            if state is not None and state.finished:
                self._explain(job, state)
                results.append(self._end(job_id, settle(self._store, job.spec, state)))
        return results

    def _end(self, job_id: str, result: TaskResult) -> TaskResult:
        """The log is complete when the result is there: read the rest, and forget the job."""
        self._stream(self._out.pop(job_id))
        return result

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
