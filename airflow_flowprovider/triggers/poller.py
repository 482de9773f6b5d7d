"""One look at AWS Batch for all the jobs that a triggerer waits for."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async

from flowsdk.aws_batch.jobs import BatchJobs, BatchThrottled, in_requests
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import Storage
from flowsdk.exception import BatchError

T = TypeVar("T")

#: Requests that wait for AWS at once. asyncio's own pool is small, and others' triggers use it.
_THREADS = 16
#: Between two DescribeJobs: 50 a second are allowed to the whole account.
_SPACING_SECONDS = 0.05
#: How much longer the next wait is if nothing has happened, or if AWS asks for fewer requests.
_PATIENCE, _BACKOFF = 1.5, 2.0
_MAX_BACKOFF_SECONDS = 60.0
#: After so long without an answer whoever waits is told: credentials do not heal by themselves.
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


@dataclass
class _Watcher:
    """One trigger that waits for one job."""

    states: asyncio.Queue[JobState | BatchError] = field(
        default_factory=lambda: asyncio.Queue(maxsize=1)
    )

    def tell(self, news: JobState | BatchError) -> None:
        """Replace what has not been taken yet: only the newest state matters."""
        if self.states.full():
            self.states.get_nowait()
        self.states.put_nowait(news)


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
    """

    _shared: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[PollerKey, JobPoller]]] = (
        WeakKeyDictionary()
    )

    def __init__(self, key: PollerKey, shortest: float, longest: float) -> None:
        self._key = key
        self._shortest = shortest
        self._longest = max(shortest, longest)
        self._interval = shortest
        self._backing_off = False
        self._watchers: dict[str, list[_Watcher]] = {}
        self._known: dict[str, str] = {}
        self._missing_since: dict[str, float] = {}
        self._answered_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._clients: Clients | None = None
        self._storages: dict[str, Storage] = {}
        self._queues: dict[str, tuple[float, str]] = {}
        self._connecting = asyncio.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="flow-poller")

    @classmethod
    @contextmanager
    def shared(
        cls, key: PollerKey, job_id: str, shortest: float, longest: float
    ) -> Iterator[tuple[JobPoller, AsyncIterator[JobState]]]:
        """The poller of ``key`` in the running loop, and the states of a job as they are seen."""
        pollers = cls._shared.setdefault(asyncio.get_running_loop(), {})
        poller = pollers.get(key)
        if poller is None:
            poller = pollers[key] = cls(key, shortest, longest)
        watcher = poller._join(job_id)
        try:
            yield poller, _states(watcher)
        finally:
            poller._leave(job_id, watcher)
            if not poller._watchers and pollers.get(key) is poller:
                del pollers[key]

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run a blocking function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def clients(self) -> Clients:
        """The clients, made once."""
        async with self._connecting:
            if self._clients is None:
                # Not in our own threads: Airflow's connections are fetched through this loop, and
                # older versions find it from asgiref's threads only.
                self._clients = await sync_to_async(connect, thread_sensitive=False)(self._key)
            return self._clients

    async def storage(self, root: str) -> Storage:
        """The storage at ``root``, made once."""
        clients = await self.clients()
        async with self._connecting:
            if root not in self._storages:
                self._storages[root] = await sync_to_async(
                    clients.open_storage, thread_sensitive=False
                )(root)
            return self._storages[root]

    async def describe_queue(self, queue: str) -> str:
        """The state of a job queue in a few words, asked at most once a minute."""
        asked_at, words = self._queues.get(queue, (-_QUEUE_SECONDS, ""))
        if time.monotonic() - asked_at >= _QUEUE_SECONDS:
            jobs = (await self.clients()).jobs
            words = await self.call(jobs.describe_queue, queue)
            self._queues[queue] = (time.monotonic(), words)
        return words

    def _join(self, job_id: str) -> _Watcher:
        watcher = _Watcher()
        self._watchers.setdefault(job_id, []).append(watcher)
        if not self._backing_off:
            self._interval = self._shortest
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return watcher

    def _leave(self, job_id: str, watcher: _Watcher) -> None:
        watchers = self._watchers[job_id]
        watchers.remove(watcher)
        if not watchers:
            del self._watchers[job_id]
            self._known.pop(job_id, None)
            self._missing_since.pop(job_id, None)
        if not self._watchers:
            if self._task is not None:
                self._task.cancel()
            self._threads.shutdown(wait=False)

    async def _run(self) -> None:
        self._answered_at = time.monotonic()
        while True:
            await asyncio.sleep(self._interval * random.uniform(0.8, 1.2))
            try:
                await self._round()
            except BatchThrottled:
                self._back_off()
            except BatchError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must learn
                self._failed(BatchError(f"The jobs cannot be polled: {error!r}"))

    async def _round(self) -> None:
        jobs = (await self.clients()).jobs
        changed = False
        for some in list(in_requests(self._watchers)):
            states = await self.call(jobs.describe, some)
            self._answered_at = time.monotonic()
            for job_id in some:
                state = self._seen(job_id, states.get(job_id))
                if state is not None:
                    changed |= self._known.get(job_id) != state.status
                    self._known[job_id] = state.status
                    self._tell(job_id, state)
            await asyncio.sleep(_SPACING_SECONDS)
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
        self._interval = min(_MAX_BACKOFF_SECONDS, self._interval * _BACKOFF)

    def _failed(self, error: BatchError) -> None:
        self._back_off()
        if time.monotonic() - self._answered_at >= _GIVE_UP_SECONDS:
            for job_id in list(self._watchers):
                self._tell(job_id, error)

    def _tell(self, job_id: str, news: JobState | BatchError) -> None:
        for watcher in self._watchers.get(job_id, ()):
            watcher.tell(news)


async def _states(watcher: _Watcher) -> AsyncIterator[JobState]:
    while True:
        news = await watcher.states.get()
        if isinstance(news, BatchError):
            raise news
        yield news
