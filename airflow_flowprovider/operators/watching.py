"""Waiting for jobs in the worker, for a moment: most short steps then need no triggerer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from airflow_flowprovider.digest import digest
from airflow_flowprovider.operators.launching import Job
from flowsdk.aws_batch.jobs import BatchJobs, BatchThrottled, BatchUnanswered
from flowsdk.aws_batch.logs import LogReader
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.spec import TaskSpec

#: Between two looks at the datastore, which takes any number of them: at first, for many steps take
#: no longer than a job does to start, and later.
_FIRST_LOOKS_SECONDS, _LOOK_SECONDS = 0.25, 0.5
_FIRST_SECONDS = 5.0
#: Between two questions to AWS Batch, which answers 50 a second to the whole account.
_DESCRIBE_SECONDS = 2.5
#: A job that is still in the queue after so long waits for a host: minutes rather than seconds.
_QUEUED_SECONDS = 3.0


class JobWatch:
    """Follows the jobs of a task instance from the worker's process.

    How it works:
        A single task has ended as soon as its result lies in the datastore. AWS Batch is asked only
        now and then, after jobs that cannot or never will write one, and after arrays.

    Args:
        jobs: AWS Batch.
        store: The flow's datastore.
        show: Called with each line that the log of the task instance gets.
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

    def watch(
        self, jobs: Sequence[Job], single: tuple[TaskSpec, LogReader] | None, seconds: float
    ) -> bool:
        """Follow jobs until they have ended, but not for longer than ``seconds``.

        Args:
            jobs: The jobs.
            single: Where there is one task: its spec and its log, of which what comes is shown.
            seconds: How long; jobs that wait for a host are given up earlier.

        Returns:
            Whether they have ended.
        """
        started = described = time.monotonic()
        states: dict[str, JobState] = {}
        shown = ""
        while True:
            self._check()
            if single is not None and self._has_result(*single):
                return True
            now = time.monotonic()
            if now - described >= _DESCRIBE_SECONDS:
                described = now
                states |= self._describe(jobs)
                seen = [(job.size, states[job.id]) for job in jobs if job.id in states]
                if single is None and seen and (line := digest(seen)) != shown:
                    shown = line
                    self._show(line)
            if len(states) == len(jobs) and all(state.finished for state in states.values()):
                return True
            if now - started >= seconds or (now - started > _QUEUED_SECONDS and _queued(states)):
                return False
            pause = _FIRST_LOOKS_SECONDS if now - started < _FIRST_SECONDS else _LOOK_SECONDS
            time.sleep(min(pause, seconds))

    def _has_result(self, spec: TaskSpec, log: LogReader) -> bool:
        for line in log.new_lines():
            self._show(line.text)
        return self._store.find_result(spec.run, spec.ref) is not None

    def _describe(self, jobs: Sequence[Job]) -> Mapping[str, JobState]:
        try:
            return self._jobs.describe([job.id for job in jobs])
        except (BatchThrottled, BatchUnanswered):
            return {}


def _queued(states: Mapping[str, JobState]) -> bool:
    """Whether nothing has begun yet."""
    started = {"STARTING", "RUNNING", "SUCCEEDED", "FAILED"}
    return bool(states) and not any(
        started & (set(state.children) or {state.status}) for state in states.values()
    )
