"""``BatchJobTrigger``: a deferred task's wait for its jobs."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_flowprovider.compat import triggers_hear_of_kills
from airflow_flowprovider.links import log_link_xcom
from airflow_flowprovider.operators.launching import Job
from airflow_flowprovider.records import RECORD_KEY, TaskInstance, push_from_trigger
from airflow_flowprovider.triggers.poller import (
    Clients,
    JobPoller,
    PollerKey,
    connect,
    in_thread,
    turn_to_end,
)
from airflow_flowprovider.triggers.report import JobReport
from flowsdk.aws_batch.jobs import BatchThrottled, BatchUnanswered
from flowsdk.aws_batch.logs import LogReader
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import BatchError, DatastoreError
from flowsdk.record import TaskRecord
from flowsdk.spec import TaskRef

#: The longest time between two looks at the log of a task that prints nothing.
_MAX_QUIET_SECONDS = 30.0
#: Before a job that AWS has not ended yet is ended again: from and to.
_END_AGAIN_SECONDS = (0.5, 1.5)
#: For how long jobs that AWS does not end are ended again.
_END_SECONDS = 300.0
#: What still ends jobs, of triggers that have gone: the event loop itself keeps no task alive.
_ending: set[asyncio.Task[None]] = set()


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
        job: Of the first job, what its links are made of; see ``links.job_xcom``.
        ends_here: Whether the success of a single task takes no worker: the trigger then ends the
            task itself.
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
        job: dict[str, Any],
        ends_here: bool,
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
        self.job = job
        self.ends_here = ends_here
        self.deferred_at = deferred_at
        self.hold = hold
        self.poll_interval_min = poll_interval_min
        self.poll_interval_max = poll_interval_max
        self._log_failed = False
        self._quiet_seconds = 0.0
        self._next_log_look = 0.0
        self._poller: JobPoller | None = None

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
                "job": self.job,
                "ends_here": self.ends_here,
                "deferred_at": self.deferred_at,
                "hold": self.hold,
                "poll_interval_min": self.poll_interval_min,
                "poll_interval_max": self.poll_interval_max,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow the jobs; one event when all have ended."""
        if not triggers_hear_of_kills():
            self.log.info("Airflow before 3.3: jobs of a task that is marked run to their ends.")
        shared = JobPoller.shared(
            self._key, self.job_ids, self.poll_interval_min, self.poll_interval_max
        )
        with shared as (poller, looks):
            self._poller = poller
            # The poller waits for an AWS, or an Airflow, that cannot be reached for a while.
            states = await anext(looks)
            store = FlowDatastore(await poller.storage(self.root), self.flow)
            jobs = [Job.of(job) for job in self.jobs]
            report = JobReport(jobs, poller, store, self.job["region"], self.log)
            log = None
            if self.ref is not None:
                log = LogReader(store, self.run_id, TaskRef.parse(self.ref), self.next_chunk)
            while True:
                # The worker that ends the task shows what could not be read here.
                complete = log is None
                over = all(job_id in states and states[job_id].finished for job_id in self.job_ids)
                if log is not None and (over or self._may_have_printed(states)):
                    complete = await self._show_log(poller, log)
                if over:
                    break
                await report.tell(states)
                states = await anext(looks)
            if self.ends_here and complete and (end := await self._end(poller, store, states)):
                yield end
                return
        # An earlier event can meet a scheduler that has not seen the deferral yet.
        await asyncio.sleep(min(self.hold, self.deferred_at + self.hold - time.time()))
        yield TriggerEvent(
            {
                "jobs": self.jobs,
                "next_chunk": self.next_chunk if log is None else log.next_chunk,
                "round": self.round_number,
                "told": report.told,
            }
        )

    async def _end(
        self, poller: JobPoller, store: FlowDatastore, states: Mapping[str, JobState]
    ) -> TriggerEvent | None:
        """The task's success, with all that a worker would leave of it; None if a worker is needed."""
        # `dag.test` knows no events that end a task; it is also what runs triggers without an id.
        if self.ref is None or self.trigger_id is None:
            return None
        try:
            result = await poller.call(store.find_result, self.run_id, TaskRef.parse(self.ref))
        except DatastoreError:
            return None
        if result is None or not result.succeeded:
            return None
        (state,) = states.values()
        link = log_link_xcom({**self.job, "log_stream": state.log_stream})
        record = TaskRecord.of(result, store.result_uri(result.run, result.ref))
        left = {RECORD_KEY: record.to_dict(), **link}
        try:
            await push_from_trigger(cast(TaskInstance, self.task_instance), left)
        except Exception as error:  # noqa: BLE001  # of Airflow's API: a worker can try it again
            self.log.warning("The task's record could not be left here: %r", error)
            return None
        self.log.info("Task %s has succeeded", result.pathspec)
        return TaskSuccessEvent()

    async def on_kill(self) -> None:
        """A user has cleared or marked the task, or failed its run: the jobs have no purpose now."""
        # Airflow 3.3 cancels a trigger anew each second until it has ended, and with it what runs here.
        ending = asyncio.create_task(self._terminate_all())
        _ending.add(ending)
        ending.add_done_callback(_ending.discard)
        await asyncio.shield(ending)

    async def _terminate_all(self) -> None:
        # Those of all: a thousand tasks cleared at once must not make a thousand clients.
        poller = self._poller
        clients = await (poller.clients() if poller else in_thread(connect, self._key))
        deadline = time.monotonic() + _END_SECONDS
        for job_id in self.job_ids:
            await self._terminate(clients, job_id, deadline)

    async def _terminate(self, clients: Clients, job_id: str, deadline: float) -> None:
        reason = "The task was cleared or marked in Airflow"
        # Nobody comes after this who would try again.
        while True:
            await turn_to_end()
            try:
                await asyncio.to_thread(clients.jobs.terminate, job_id, reason)
            except BatchError as error:
                again = isinstance(error, (BatchThrottled, BatchUnanswered))
                if again and time.monotonic() < deadline:
                    await asyncio.sleep(random.uniform(*_END_AGAIN_SECONDS))
                    continue
                self.log.warning("Batch job %s may go on, terminate it by hand: %s", job_id, error)
                return
            else:
                self.log.info("Terminated Batch job %s", job_id)
                return

    @property
    def job_ids(self) -> list[str]:
        """Ids of the jobs in AWS Batch."""
        return [job["id"] for job in self.jobs]

    @property
    def _key(self) -> PollerKey:
        return PollerKey(self.aws_conn_id, self.region_name)

    def _may_have_printed(self, states: Mapping[str, JobState]) -> bool:
        """Whether it is time to look for more of the log of the one task."""
        running = any(state.status == "RUNNING" for state in states.values())
        return running and time.monotonic() >= self._next_log_look

    async def _show_log(self, poller: JobPoller, log: LogReader) -> bool:
        """Show what is new; whether all that is there could be read."""
        before = log.next_chunk
        complete = await self._show_chunks(poller, log)
        # A look costs a request, and many a task prints nothing for hours.
        quiet = min(_MAX_QUIET_SECONDS, 2 * self._quiet_seconds or self.poll_interval_min)
        self._quiet_seconds = 0.0 if log.next_chunk > before else quiet
        self._next_log_look = time.monotonic() + self._quiet_seconds
        return complete

    async def _show_chunks(self, poller: JobPoller, log: LogReader) -> bool:
        try:
            # A chunk at a time: what has been read is shown before the next read can fail, and other
            # triggers have their turn in between.
            while (lines := await poller.call(log.next_lines)) is not None:
                for line in lines:
                    self.log.info("%s", line.text)
                await asyncio.sleep(0)
        except DatastoreError as error:
            # A hiccup must not end the task.
            if not self._log_failed:
                self._log_failed = True
                self.log.warning("The task's log cannot be read for now: %s", error)
            return False
        return True
