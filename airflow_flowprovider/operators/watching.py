"""Waiting for a job in the worker, for a moment: most short steps then need no triggerer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from flowsdk.aws_batch.jobs import BatchJobs, BatchThrottled
from flowsdk.aws_batch.logs import LogReader
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.spec import TaskResult, TaskSpec

#: Between two looks at the datastore, which takes any number of them.
_LOOK_SECONDS = 0.5
#: Between two questions to AWS Batch, which answers 50 a second to the whole account.
_DESCRIBE_SECONDS = 2.5
#: A job that is still in the queue after so long waits for a host: minutes rather than seconds.
_QUEUED_SECONDS = 3.0


@dataclass(frozen=True)
class Sighting:
    """What is known of a job after watching it.

    Attributes:
        result: Of its task, or None while there is none.
        state: As AWS Batch last described it, or None if it was not asked.
    """

    result: TaskResult | None
    state: JobState | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.result is not None or (self.state is not None and self.state.finished)


class JobWatch:
    """Follows one job from the worker's process.

    How it works:
        A task has ended as soon as its result lies in the datastore. AWS Batch is asked only now and
        then, after jobs that cannot or never will write one.

    Args:
        jobs: AWS Batch.
        store: The flow's datastore.
        show: Called with each line that the task prints.
        check: Called often; raises what is to end the waiting.
    """

    def __init__(
        self,
        jobs: BatchJobs,
        store: FlowDatastore,
        show: Callable[[str], None],
        check: Callable[[], None],
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._show = show
        self._check = check

    def watch(self, job_id: str, spec: TaskSpec, log: LogReader, seconds: float) -> Sighting:
        """Follow a job until it has ended, but not for longer than ``seconds``.

        Args:
            job_id: In AWS Batch.
            spec: The attempt that it runs.
            log: Of the attempt; what comes is shown.
            seconds: How long; a job that waits for a host is given up earlier.
        """
        started = time.monotonic()
        described = started
        state: JobState | None = None
        while True:
            self._check()
            for line in log.new_lines():
                self._show(line.text)
            result = self._store.find_result(spec.run, spec.ref)
            now = time.monotonic()
            if result is None and now - described >= _DESCRIBE_SECONDS:
                described, state = now, self._describe(job_id) or state
            seen = Sighting(result, state)
            if seen.ended or now - started >= seconds:
                return seen
            queued = state is not None and state.status not in {"STARTING", "RUNNING"}
            if queued and now - started > _QUEUED_SECONDS:
                return seen
            time.sleep(min(_LOOK_SECONDS, seconds))

    def _describe(self, job_id: str) -> JobState | None:
        try:
            return self._jobs.describe([job_id]).get(job_id)
        except BatchThrottled:
            return None
