"""One look at AWS Batch for all the jobs that a triggerer waits for."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async

from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.triggers.budget import RequestBudget
from flowsdk.aws_batch.jobs import BatchJobs, BatchThrottled, BatchUnanswered, in_requests
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import Storage
from flowsdk.exception import BatchError

T = TypeVar("T")

#: Requests that wait for AWS Batch at once, and for the datastore: a datastore that is slow must not
#: keep anybody from learning that jobs have ended. asyncio's own pool is small, and others use it.
_BATCH_THREADS, _THREADS = 4, 16
#: How much longer the next wait is if nothing has happened, or if AWS asks for fewer requests.
_PATIENCE, _BACKOFF = 1.5, 2.0
_MAX_BACKOFF_SECONDS = 60.0
#: After so long of being refused whoever waits is told: credentials do not heal by themselves. An
#: AWS that is overloaded or away does, and is waited for however long that takes.
_GIVE_UP_SECONDS = 300.0
#: A job that AWS does not show for so long is gone; a new one may be missing for a moment.
_UNKNOWN_SECONDS = 60.0
_QUEUE_SECONDS = 60.0


class PollerKey(NamedTuple):
    """Jobs with the same key are asked for together."""

    aws_conn_id: str | None
    region_name: str | None


@dataclass(frozen=True)
class Clients:
    """What a triggerer uses of AWS; all of it safe to share between threads."""

    jobs: BatchJobs
    open_storage: Callable[[str], Storage]


def connect(key: PollerKey) -> Clients:
    """Make the clients of a connection; blocks, and asks Airflow for the connection."""
    from airflow_flowprovider.hooks.batch import FlowBatchHook
    from airflow_flowprovider.hooks.datastore import FlowDatastoreHook

    def storage(root: str) -> Storage:
        return FlowDatastoreHook(key.aws_conn_id, key.region_name, root=root).storage

    return Clients(FlowBatchHook(key.aws_conn_id, key.region_name).jobs, storage)


class _Watcher:
    """One trigger that waits for jobs."""

    def __init__(self, job_ids: Sequence[str]) -> None:
        self.job_ids = job_ids
        self._states: dict[str, JobState] = {}
        self._error: BatchError | None = None
        self._news = asyncio.Event()

    def tell(self, state: JobState) -> None:
        """Replace what has not been taken yet: only the newest state matters."""
        self._states[state.id] = state
        self._news.set()

    def fail(self, error: BatchError) -> None:
        """Let the trigger fail."""
        self._error = error
        self._news.set()

    async def states(self) -> AsyncIterator[Mapping[str, JobState]]:
        """What is known of the jobs, whenever some have been looked at."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._error is not None:
                raise self._error
            yield dict(self._states)


@dataclass
class _Triggerer:
    """What the triggers of an event loop share.

    Attributes:
        pollers: By connection.
        reads: Requests that ask for something.
        ends: Requests that end a job: those of a thousand tasks that are cleared at once must not
            wait for reads, nor reads for them. AWS counts each operation by itself.
    """

    pollers: dict[PollerKey, JobPoller]
    reads: RequestBudget
    ends: RequestBudget

    @classmethod
    def running(cls) -> _Triggerer:
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in _triggerers:
            rate = ProviderConfig.load().requests_per_second
            _triggerers[loop] = cls({}, RequestBudget(rate), RequestBudget(rate))
        return _triggerers[loop]


_triggerers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Triggerer] = WeakKeyDictionary()


async def turn_to_end() -> None:
    """Wait until this triggerer may send a TerminateJob."""
    await _Triggerer.running().ends.turn()


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Run a function that may ask Airflow for connections in a thread.

    Not in one of our own: they are fetched through the event loop, which older versions find from
    asgiref's threads only. Whoever awaits this and is cancelled gets the CancelledError as it was: by
    its message Airflow tells a user's wish from a triggerer that stops, and asgiref drops that.
    """
    call = sync_to_async(function, thread_sensitive=False)(*args)
    return await asyncio.shield(asyncio.ensure_future(call))


class JobPoller:
    """Describes the jobs of all triggers of one connection and region, a hundred at a time.

    Purpose:
        A thousand waiting tasks cost ten requests a round, not a thousand.
    How it works:
        A task of the event loop runs while anybody waits. The time between two rounds grows from
        the shortest to the longest interval while nothing happens, and falls back when a job changes
        its state or is new. boto3 runs in threads.
    What it does not do:
        It neither reads logs nor decides anything: each trigger does that for its own job.

    Args:
        key: Which connection.
        shortest: Time between two rounds, in seconds.
        longest: The same, while nothing happens.
        budget: For its requests.
    """

    def __init__(
        self, key: PollerKey, shortest: float, longest: float, budget: RequestBudget
    ) -> None:
        self._key = key
        self._budget = budget
        self._shortest = shortest
        self._longest = max(shortest, longest)
        self._interval = shortest
        self._backing_off = False
        self._watchers: list[_Watcher] = []
        self._open: dict[str, list[_Watcher]] = {}
        self._known: dict[str, str] = {}
        self._missing_since: dict[str, float] = {}
        self._refused_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._clients: Clients | None = None
        self._storages: dict[str, Storage] = {}
        self._queues: dict[str, tuple[float, str]] = {}
        self._connecting = asyncio.Lock()
        self._describing = asyncio.Lock()
        self._batch_threads = ThreadPoolExecutor(_BATCH_THREADS, thread_name_prefix="flow-poller")
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="flow-store")

    @classmethod
    @contextmanager
    def shared(
        cls, key: PollerKey, job_ids: Sequence[str], shortest: float, longest: float
    ) -> Iterator[tuple[JobPoller, AsyncIterator[Mapping[str, JobState]]]]:
        """The poller of ``key`` in the running loop, and what is seen of some jobs, by id."""
        triggerer = _Triggerer.running()
        pollers = triggerer.pollers
        poller = pollers.get(key)
        if poller is None:
            poller = pollers[key] = cls(key, shortest, longest, triggerer.reads)
        watcher = poller._join(job_ids)
        try:
            yield poller, watcher.states()
        finally:
            poller._leave(watcher)
            if not poller._watchers and pollers.get(key) is poller:
                del pollers[key]

    async def request(self, function: Callable[..., T], *args: Any) -> T:
        """Ask AWS Batch something, when it is this poller's turn; blocks only a thread."""
        await self._budget.turn()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._batch_threads, function, *args)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Ask the datastore something; blocks only a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def clients(self) -> Clients:
        """The clients, made once."""
        async with self._connecting:
            if self._clients is None:
                self._clients = await in_thread(connect, self._key)
            return self._clients

    async def storage(self, root: str) -> Storage:
        """The storage at ``root``, made once."""
        clients = await self.clients()
        async with self._connecting:
            if root not in self._storages:
                self._storages[root] = await in_thread(clients.open_storage, root)
            return self._storages[root]

    async def describe_queue(self, queue: str) -> str:
        """The state of a job queue in a few words, asked at most once a minute."""
        jobs = (await self.clients()).jobs
        # Many tasks that wait for the same queue want to know at once.
        async with self._describing:
            asked_at, words = self._queues.get(queue, (-math.inf, ""))
            if time.monotonic() - asked_at >= _QUEUE_SECONDS:
                try:
                    words = await self.request(jobs.describe_queue, queue)
                except BatchError as error:
                    words = f"unknown ({error})"
                self._queues[queue] = (time.monotonic(), words)
            return words

    def _join(self, job_ids: Sequence[str]) -> _Watcher:
        watcher = _Watcher(job_ids)
        self._watchers.append(watcher)
        for job_id in job_ids:
            self._open.setdefault(job_id, []).append(watcher)
        if not self._backing_off:
            self._interval = self._shortest
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return watcher

    def _leave(self, watcher: _Watcher) -> None:
        self._watchers.remove(watcher)
        for job_id in watcher.job_ids:
            others = [other for other in self._open.pop(job_id, ()) if other is not watcher]
            if others:
                self._open[job_id] = others
            else:
                self._forget(job_id)
        if not self._watchers:
            if self._task is not None:
                self._task.cancel()
            for threads in (self._batch_threads, self._threads):
                threads.shutdown(wait=False)

    def _forget(self, job_id: str) -> None:
        self._open.pop(job_id, None)
        self._known.pop(job_id, None)
        self._missing_since.pop(job_id, None)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval * random.uniform(0.8, 1.2))
            try:
                await self._round()
            except (BatchThrottled, BatchUnanswered):
                self._refused_since = None
                self._back_off()
            except BatchError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must learn
                self._failed(BatchError(f"The jobs cannot be polled: {error!r}"))

    async def _round(self) -> None:
        jobs = (await self.clients()).jobs
        changed = False
        for some in list(in_requests(self._open)):
            states = await self.request(jobs.describe, some)
            self._refused_since = None
            for job_id in some:
                state = self._seen(job_id, states.get(job_id))
                # Whoever waited for it may have gone meanwhile.
                if state is not None and job_id in self._open:
                    changed |= self._known.get(job_id) != state.status
                    self._tell(state)
            # To the end: if AWS refuses the next request, the next round begins with those.
            self._open |= {
                job_id: self._open.pop(job_id) for job_id in some if job_id in self._open
            }
        self._backing_off = False
        grown = min(self._longest, max(self._interval, self._shortest) * _PATIENCE)
        self._interval = self._shortest if changed else grown

    def _seen(self, job_id: str, state: JobState | None) -> JobState | None:
        """What to say of a job that AWS describes so, or does not show; None for nothing yet."""
        if state is not None:
            self._missing_since.pop(job_id, None)
            return state
        now = time.monotonic()
        since = self._missing_since.setdefault(job_id, now)
        return JobState(job_id) if now - since >= _UNKNOWN_SECONDS else None

    def _back_off(self) -> None:
        self._backing_off = True
        longest = max(_MAX_BACKOFF_SECONDS, self._longest)
        self._interval = min(longest, self._interval * _BACKOFF)

    def _failed(self, error: BatchError) -> None:
        self._back_off()
        # Perhaps the connection has changed since the clients were made: a poller may live for days.
        self._clients = None
        self._storages.clear()
        now = time.monotonic()
        self._refused_since = now if self._refused_since is None else self._refused_since
        if now - self._refused_since >= _GIVE_UP_SECONDS:
            for watcher in self._watchers:
                watcher.fail(error)

    def _tell(self, state: JobState) -> None:
        for watcher in self._open.get(state.id, ()):
            watcher.tell(state)
        if state.finished:
            self._forget(state.id)
        else:
            self._known[state.id] = state.status
