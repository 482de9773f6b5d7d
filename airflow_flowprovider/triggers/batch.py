"""``BatchJobTrigger``: a deferred task's wait for its jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_flowprovider.digest import digest
from airflow_flowprovider.triggers.poller import Clients, JobPoller, PollerKey, connect
from flowsdk.aws_batch.logs import LogReader
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import DatastoreError
from flowsdk.spec import TaskRef

#: How long a job may be RUNNABLE before somebody should be told why.
RUNNABLE_SECONDS = 60.0


class BatchJobTrigger(BaseTrigger):
    """Waits until jobs have ended and shows meanwhile what the task prints, or how many have ended.

    How it works:
        All triggers of a connection share one poller; each reads the log of its own task. A user who
        clears or marks the task ends the jobs with it; a triggerer that restarts leaves them alone,
        and the next one takes up from the first line that the worker has not shown.

    Args:
        jobs: The jobs, as ``operators.launching.Job`` has them in JSON.
        aws_conn_id: Connection of type ``aws`` or ``flowprovider``.
        region_name: By default the connection's.
        root: URI of the datastore.
        flow: Name of the flow.
        run: Run id.
        ref: ``step/task/attempt`` of the task whose log is shown; None if there are several.
        next_chunk: The first chunk of the log that has not been shown.
        round_number: How often the task instance has launched something in this try.
        deferred_at: When the task was deferred, seconds since 1970.
        hold: How long after that no event may be fired, in seconds.
        poll_interval_min: Shortest time between two looks, in seconds.
        poll_interval_max: Longest time between two looks, in seconds.
    """

    def __init__(
        self,
        *,
        jobs: list[dict[str, Any]],
        aws_conn_id: str | None,
        region_name: str | None,
        root: str,
        flow: str,
        run: str,
        ref: str | None,
        next_chunk: int,
        round_number: int,
        deferred_at: float,
        hold: float,
        poll_interval_min: float,
        poll_interval_max: float,
    ) -> None:
        super().__init__()
        self.jobs = jobs
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.root = root
        self.flow = flow
        self.run_id = run
        self.ref = ref
        self.next_chunk = next_chunk
        self.round_number = round_number
        self.deferred_at = deferred_at
        self.hold = hold
        self.poll_interval_min = poll_interval_min
        self.poll_interval_max = poll_interval_max
        self._explained: tuple[str, str] | None = None
        self._log_failed = False
        self._digest = ""
        self._clients: Clients | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Everything that another triggerer needs to go on."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "jobs": self.jobs,
                "aws_conn_id": self.aws_conn_id,
                "region_name": self.region_name,
                "root": self.root,
                "flow": self.flow,
                "run": self.run_id,
                "ref": self.ref,
                "next_chunk": self.next_chunk,
                "round_number": self.round_number,
                "deferred_at": self.deferred_at,
                "hold": self.hold,
                "poll_interval_min": self.poll_interval_min,
                "poll_interval_max": self.poll_interval_max,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow the jobs; one event when all have ended."""
        shortest, longest = self.poll_interval_min, self.poll_interval_max
        with ExitStack() as stack:
            watched = [
                stack.enter_context(JobPoller.shared(self._key, job_id, shortest, longest))
                for job_id in self.job_ids
            ]
            poller = watched[0][0]
            self._clients = await poller.clients()
            storage = await poller.storage(self.root)
            log = None
            if self.ref is not None:
                store = FlowDatastore(storage, self.flow)
                log = LogReader(store, self.run_id, TaskRef.parse(self.ref), self.next_chunk)
            for _, states in watched:
                async for state in states:
                    await self._tell(poller, state, log)
                    if state.finished:
                        break
                    await self._explain(poller, state)
        # An earlier event can meet a scheduler that has not seen the deferral yet.
        await asyncio.sleep(min(self.hold, self.deferred_at + self.hold - time.time()))
        next_chunk = self.next_chunk if log is None else log.next_chunk
        event = {"jobs": self.jobs, "next_chunk": next_chunk, "round": self.round_number}
        yield TriggerEvent(event)

    async def on_kill(self) -> None:
        """A user has cleared or marked the task, or failed its run: the jobs have no purpose now."""
        # Those that are there: a thousand tasks cleared at once must not make a thousand clients
        # in the half minute that Airflow allows.
        clients = self._clients or await sync_to_async(connect, thread_sensitive=False)(self._key)
        reason = "The task was cleared or marked in Airflow"
        for job_id in self.job_ids:
            await asyncio.to_thread(clients.jobs.terminate, job_id, reason)
            self.log.info("Terminated Batch job %s", job_id)

    @property
    def job_ids(self) -> list[str]:
        """Ids of the jobs in AWS Batch."""
        return [job["id"] for job in self.jobs]

    @property
    def _key(self) -> PollerKey:
        return PollerKey(self.aws_conn_id, self.region_name)

    async def _tell(self, poller: JobPoller, state: JobState, log: LogReader | None) -> None:
        """Show what is new: lines of the task, or of an array how many of its tasks have ended."""
        if log is not None:
            await self._show_log(poller, log)
        elif (line := digest([state])) != self._digest:
            self._digest = line
            self.log.info("Batch job %s: %s", state.id, line)

    async def _show_log(self, poller: JobPoller, log: LogReader) -> None:
        try:
            # A chunk at a time: what has been read is shown before the next read can fail, and other
            # triggers have their turn in between.
            while (lines := await poller.call(log.next_lines)) is not None:
                for line in lines:
                    self.log.info("%s", line.text)
                await asyncio.sleep(0)
        except DatastoreError as error:
            # The worker prints what is missing here; a hiccup must not end the task.
            if not self._log_failed:
                self._log_failed = True
                self.log.warning("The task's log cannot be read for now: %s", error)

    async def _explain(self, poller: JobPoller, state: JobState) -> None:
        """Say why a job does not start, once and again whenever the reason changes."""
        waited = time.time() - (state.created_at or 0) / 1000
        if state.status != "RUNNABLE" or waited < RUNNABLE_SECONDS:
            return
        queue = await poller.describe_queue(state.queue)
        if (state.reason, queue) == self._explained:
            return
        self._explained = (state.reason, queue)
        self.log.warning("%s", explanation(state, queue, waited))


def explanation(state: JobState, queue: str, waited: float) -> str:
    """Why a job is RUNNABLE and does not run, as far as AWS Batch says.

    Args:
        state: Of the job.
        queue: State of its job queue, in words.
        waited: Seconds since it was submitted.
    """
    units = {"VCPU": "vCPU", "MEMORY": "MiB of memory", "GPU": "GPU"}
    asked = [f"{value} {units.get(kind, kind)}" for kind, value in state.resources.items()]
    reason = state.reason or "nothing yet: it is starting a host, or all that fit are busy"
    name = state.queue.rpartition("/")[2]
    return (
        f"Batch job {state.id} has been waiting for a host for {waited:.0f} s. It asks for "
        f"{', '.join(asked) or 'the amounts of its job definition'}. Job queue {name}: {queue}. "
        f"AWS Batch says: {reason}."
    )
