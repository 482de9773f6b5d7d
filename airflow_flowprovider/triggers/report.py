"""What the log of a deferred task instance says of its jobs, beside what the task itself prints."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_flowprovider.digest import TOLD, digest, failed_task
from airflow_flowprovider.links import job_url
from airflow_flowprovider.operators.launching import Job
from airflow_flowprovider.triggers.poller import JobPoller
from flowsdk.aws_batch.state import JobState, failure
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import BatchError, DatastoreError

#: How long nothing may run before somebody should be told why, in seconds.
WAITING_SECONDS = 60.0
#: Between two questions after the tasks of an array that wait: they may for hours.
_ASK_AGAIN_SECONDS = 60.0
_BEGUN = {"STARTING", "RUNNING"}
_UNITS = {"VCPU": "vCPU", "MEMORY": "MiB of memory", "GPU": "GPU"}


class JobReport:
    """Tells people about jobs: how far they have come, what has failed, and why nothing runs.

    How it works:
        The log stays short however wide a set is: a line when the numbers of its tasks have
        changed, at most one for each look at AWS; the ends of the logs of some tasks that have
        failed, once; and why nothing runs, once for each reason.
    What it does not do:
        It decides nothing. What it cannot find out it leaves out.

    Args:
        jobs: Of the task instance.
        poller: Asks AWS.
        store: The flow's datastore.
        region: Of the jobs, for links.
        log: Of the task instance.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        poller: JobPoller,
        store: FlowDatastore,
        region: str | None,
        log: Any,
    ) -> None:
        self._jobs = {job.id: job for job in jobs}
        self._poller = poller
        self._store = store
        self._region = region
        self._log = log
        self._digest = ""
        self._failed: dict[str, int] = {}
        self._idle_since: float | None = None
        self._reason = (-math.inf, "")
        self._explained: tuple[str, str] | None = None
        self._failing = False
        #: The tasks whose failure has been told of.
        self.told: list[str] = []

    async def tell(self, states: Mapping[str, JobState]) -> None:
        """Say what is new.

        Args:
            states: Of the jobs, as far as they have been seen, by id.
        """
        try:
            if any(job.size > 1 for job in self._jobs.values()) or len(self._jobs) > 1:
                self._tell_numbers(states)
                await self._tell_failures(states)
            await self._explain(states)
        except (BatchError, DatastoreError) as error:
            if self._failing:
                return
            self._failing = True
            self._log.warning("There may be more to say of the jobs than is known here: %s", error)

    def _tell_numbers(self, states: Mapping[str, JobState]) -> None:
        seen = [
            (job.size, states.get(job_id, JobState(job_id))) for job_id, job in self._jobs.items()
        ]
        line = digest(seen)
        if line != self._digest:
            self._digest = line
            self._log.info("Batch job%s %s: %s", "s" * (len(seen) > 1), ", ".join(self._jobs), line)

    async def _tell_failures(self, states: Mapping[str, JobState]) -> None:
        for job_id, state in states.items():
            failed = state.children.get("FAILED", 0)
            if len(self.told) >= TOLD or failed <= self._failed.get(job_id, 0):
                continue
            self._failed[job_id] = failed
            jobs = (await self._poller.clients()).jobs
            children = await self._poller.request(jobs.children, job_id, "FAILED")
            for line in await self._poller.call(self._failures, self._jobs[job_id], children):
                self._log.warning("%s", line)
                await asyncio.sleep(0)

    def _failures(self, job: Job, children: Sequence[JobState]) -> list[str]:
        return list(self._failed_tasks(job, children))

    def _failed_tasks(self, job: Job, children: Sequence[JobState]) -> Iterator[str]:
        specs = job.tasks(self._store)
        for child in children:
            spec = specs[int(child.id.rpartition(":")[2])]
            if len(self.told) < TOLD and spec.task not in self.told:
                self.told.append(spec.task)
                result = self._store.find_result(spec.run, spec.ref)
                error = result.error if result else failure(child)
                yield from failed_task(self._store, spec, error, job_url(self._region, child.id))

    async def _explain(self, states: Mapping[str, JobState]) -> None:
        """Say why nothing runs, once and again whenever the reason changes."""
        idle = _idle(states.values())
        now = time.time()
        if idle is None:
            self._idle_since = None
            return
        self._idle_since = self._idle_since or now
        since = self._idle_since if _has_run(idle) else (idle.created_at or 0) / 1000
        if now - since < WAITING_SECONDS:
            return
        reason = await self._reason_of_child(idle) if idle.children else idle.reason
        queue = await self._poller.describe_queue(idle.queue)
        if (reason, queue) != self._explained:
            self._explained = (reason, queue)
            self._log.warning("%s", explanation(replace(idle, reason=reason), queue, now - since))

    async def _reason_of_child(self, array: JobState) -> str:
        """What AWS says of the first task that waits; of the array itself it says nothing."""
        asked_at, reason = self._reason
        if time.monotonic() - asked_at >= _ASK_AGAIN_SECONDS:
            jobs = (await self._poller.clients()).jobs
            children = await self._poller.request(jobs.children, array.id, "RUNNABLE")
            reason = children[0].reason if children else ""
            self._reason = (time.monotonic(), reason)
        return reason


def explanation(state: JobState, queue: str, waited: float) -> str:
    """Why nothing of a job runs, as far as AWS Batch says.

    Args:
        state: Of the job; of an array, with the reason of one of its children.
        queue: State of its job queue, in words.
        waited: For how many seconds.
    """
    asked = [f"{value} {_UNITS.get(kind, kind)}" for kind, value in state.resources.items()]
    reason = state.reason or "nothing yet: it is starting a host, or all that fit are busy"
    name = state.queue.rpartition("/")[2]
    waiting = state.children.get("RUNNABLE", 0)
    what = (
        f"{waiting} tasks of Batch job {state.id} have" if waiting else f"Batch job {state.id} has"
    )
    return (
        f"{what} been waiting for a host for {waited:.0f} s. {'Each' if waiting else 'It'} asks for "
        f"{', '.join(asked) or 'the amounts of its job definition'}. Job queue {name}: {queue}. "
        f"AWS Batch says: {reason.rstrip('.')}."
    )


def _idle(states: Iterable[JobState]) -> JobState | None:
    """A job that waits for a host, if none has one."""
    waiting = None
    for state in states:
        found = set(state.children) or {state.status}
        if found & _BEGUN:
            return None
        if "RUNNABLE" in found and waiting is None:
            waiting = state
    return waiting


def _has_run(state: JobState) -> bool:
    """Whether something of a job that waits has run before, so that it has not waited all the time."""
    return bool(state.attempts or set(state.children) & {"SUCCEEDED", "FAILED"})
