"""How many requests are under way at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

#: To begin with: what 10 Gbit/s take, one connection to S3 giving some 100 MB/s.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
_FIRST = 8
_MOST = 64
#: What a request counts beside its bytes: as many as could have been sent while it was under way.
_REQUEST_BYTES = 64 * 1024
#: Seconds over which throughput is measured.
_MEASURED_SECONDS = 0.1
#: One lane more is worth it while throughput grows by this.
_GAIN = 1.1
#: Measurements for which a number of lanes is kept that was found good.
_CONTENT = 50
#: Seconds in which further complaints are taken for the same one.
_SAME_COMPLAINT_SECONDS = 1.0


class Lanes:
    """Runs jobs in parallel, in as many threads as pay.

    How it works:
        While more lanes bring more throughput their number doubles; when they bring none it goes
        back by one step and stays for a while. Nothing is measured while threads and connections are
        opened, at the beginning and after each step. A complaint – S3 asks for fewer requests, or a
        connection times out – halves it. Threads live as long as one :meth:`run`, so a process may
        fork whenever none is under way.

    Args:
        most: Never more than this.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self.limit = min(_FIRST, most)
        self._running = 0
        self._lock = threading.Lock()
        self._done = 0
        self._since = 0.0
        self._best = 0.0
        self._content = 0
        self._connecting = True
        self._complained = 0.0

    @property
    def full(self) -> bool:
        """Whether as many jobs are under way as pay."""
        return self._running >= self.limit

    def run(self, work: Callable[[T], int], items: Iterable[T]) -> None:
        """Do ``work`` for every item, in parallel; what it returns is how many bytes it moved.

        The first error ends it, once what is under way has ended, and is raised.
        """
        batch = _Batch(work, iter(items))
        with self._lock:
            if not self._running:  # a job's own jobs are part of what is measured
                self._since, self._done, self._connecting = time.monotonic(), 0, True
            self._running += 1
        try:
            self._follow(batch)  # the caller is one of the lanes
        finally:
            batch.stopped = True
            while batch.threads:
                batch.threads.pop().join()
        if batch.error is not None:
            raise batch.error

    def slow_down(self) -> None:
        """Half as many from now on."""
        with self._lock:
            now = time.monotonic()
            if now - self._complained > _SAME_COMPLAINT_SECONDS:
                self._complained = now
                self.limit = max(1, self.limit // 2)
                self._best, self._content = 0.0, _CONTENT

    def _follow(self, batch: _Batch[T], *, spare: bool = False) -> None:
        try:
            while not batch.stopped and not (spare and self._running > self.limit):
                with batch.lock:
                    try:
                        item = next(batch.items)
                    except StopIteration:
                        batch.stopped = True
                        return
                self._widen(batch)
                self._count(batch.work(item))
        except BaseException as error:  # noqa: BLE001  # raised again by the caller's own thread
            batch.stopped = True
            batch.error = batch.error or error
        finally:
            with self._lock:
                self._running -= 1

    def _widen(self, batch: _Batch[T]) -> None:
        """Open another lane if there may be one: each opens the next, so few jobs open few."""
        with self._lock:
            if batch.stopped or self._running >= self.limit:
                return
            self._running += 1
        thread = threading.Thread(
            target=self._follow,
            args=(batch,),
            kwargs={"spare": True},
            name="flowsdk-s3",
            daemon=True,
        )
        thread.start()
        batch.threads.append(thread)

    def _count(self, size: int) -> None:
        with self._lock:
            self._done += size + _REQUEST_BYTES
            elapsed = time.monotonic() - self._since
            if elapsed < _MEASURED_SECONDS:
                return
            throughput = self._done / elapsed
            self._done, self._since = 0, time.monotonic()
            if self._connecting:
                self._connecting = False
            elif self._content:
                self._content -= 1
            elif throughput > self._best * _GAIN:
                widest = self.limit == self._most
                self._best, self._content = (0.0, _CONTENT) if widest else (throughput, 0)
                self.limit, self._connecting = min(self._most, self.limit * 2), True
            else:
                self.limit = min(self.limit, max(_FIRST, self.limit // 2))
                self._best, self._content = 0.0, _CONTENT


@dataclass
class _Batch(Generic[T]):
    """The jobs of one call, and the threads that do them."""

    work: Callable[[T], int]
    items: Iterator[T]
    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: list[threading.Thread] = field(default_factory=list)
    stopped: bool = False
    error: BaseException | None = None
