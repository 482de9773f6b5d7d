"""What of a flow's datastore can go: old runs, and data that no run refers to.

Data is shared, also between the branches of a project: runs refer to blobs and code packages by
their digests. A blob goes when no document
of a run that stays names its digest, and when nobody has written or reused it for a day, so that a
task which has stored its artifacts and not yet its result loses nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from flowsdk.client import Flow, Run
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.datastore.storage import Entry
from flowsdk.datastore.store import flows
from flowsdk.exception import KeyNotFound

#: How long what nothing refers to is left alone, in seconds. A blob that is used again is freshened
#: if it is half as old as that.
GRACE_SECONDS = 24 * 3600
#: How long a run without a known end may rest before it is taken for one that was killed. AWS Batch
#: itself lets a job run that long.
LOST_SECONDS = 14 * 24 * 3600
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_PARALLEL = 32


@dataclass(frozen=True)
class Policy:
    """Which runs may go; without any limit, none.

    Attributes:
        keep_runs: The newest so many stay; None for no such limit.
        older_than: Only those made more than so many seconds ago go; None for no such limit.
        keep_tags: Those with one of these tags stay.
    """

    keep_runs: int | None = None
    older_than: float | None = None
    keep_tags: frozenset[str] = frozenset()

    def condemns(self, run: Run, rank: int, now: float) -> bool:
        """Whether a run may go. ``rank`` is 0 for the newest run."""
        if self.keep_runs is None and self.older_than is None:
            return False
        if self.keep_runs is not None and rank < self.keep_runs:
            return False
        made = run.created_at
        if self.older_than is not None and (
            made is None or now - made.timestamp() <= self.older_than
        ):
            return False
        return not self.keep_tags & set(run.tags)


@dataclass(frozen=True)
class Garbage:
    """What goes of one flow.

    Attributes:
        flow: Name of the flow.
        runs: Ids of the runs, newest first.
        documents: The objects of those runs.
        data: Blobs and code packages that nothing refers to any more.
        waiting: How many more of them are too young.
    """

    flow: str
    runs: tuple[str, ...]
    documents: tuple[Entry, ...]
    data: tuple[Entry, ...]
    waiting: int

    @property
    def size(self) -> int:
        """All of it, in bytes."""
        return sum(entry.size for entry in (*self.documents, *self.data))


class Collector:
    """Finds and removes the garbage of one flow.

    Known limitation:
        A task that stores a value which an earlier run had stored, too, and which nothing refers to
        now, in the very moment between the last look at the datastore and the removal, is left
        without it.

    Args:
        store: The flow's datastore.
        now: Seconds since 1970; the time at which to look.
    """

    def __init__(self, store: FlowDatastore, now: float | None = None) -> None:
        self._store = store
        self._storage = store.storage
        self._now = time.time() if now is None else now

    def find(self, policy: Policy) -> Garbage:
        """What can go. Nothing is removed."""
        flow = self._store.flow
        old = {entry.key for entry in self._data() if self._is_old(entry, GRACE_SECONDS)}
        going: dict[str, list[Entry]] = {}
        staying: list[Entry] = []
        for rank, run in enumerate(Flow(flow).runs()):
            entries = list(self._storage.entries(keys.run(flow, run.id)))
            if policy.condemns(run, rank, self._now) and not self._is_active(run, entries):
                sets = self._storage.entries(keys.task_sets(flow, run.id))
                going[run.id] = [*entries, *sets]
            else:
                staying += entries
        # After the runs: what has been stored for a new one since is young, or named by now.
        named = self._digests(self._with_new_runs(staying, going))
        orphans = [entry for entry in self._data() if entry.key.rpartition("/")[2] not in named]
        data = [e for e in orphans if e.key in old and self._is_old(e, GRACE_SECONDS)]
        documents = [entry for entries in going.values() for entry in entries]
        return Garbage(flow, tuple(going), tuple(documents), tuple(data), len(orphans) - len(data))

    def remove(self, garbage: Garbage) -> None:
        """Remove what :meth:`find` has found.

        Of a run, what names it goes last: whatever interrupts this, the run can be found again.
        """
        names = (keys.RUN_DOCUMENT, keys.RUN_END_DOCUMENT)
        # False sorts before True, so these come last.
        documents = sorted(garbage.documents, key=lambda entry: entry.key.endswith(names))
        self._storage.delete([entry.key for entry in (*documents, *garbage.data)])

    def _data(self) -> Iterator[Entry]:
        yield from self._storage.entries(keys.blobs(self._store.flow))
        yield from self._storage.entries(keys.packages(self._store.flow))

    def _is_old(self, entry: Entry, seconds: float) -> bool:
        return self._now - entry.modified > seconds

    def _is_active(self, run: Run, entries: Iterable[Entry]) -> bool:
        """Whether a run may still go on: it has no end, and was not forgotten long ago."""
        return not run.finished and not all(self._is_old(e, LOST_SECONDS) for e in entries)

    def _with_new_runs(self, staying: list[Entry], going: Collection[str]) -> list[Entry]:
        """The documents of all runs that there are now and may share data, but for those that go."""
        known = {entry.key for entry in staying}
        gone = tuple(keys.run(self._store.flow, run) for run in going)
        found = (
            entry
            for flow in flows(self._storage)
            if keys.blobs(flow) == keys.blobs(self._store.flow)
            for entry in self._storage.entries(keys.runs(flow))
        )
        return [*staying, *(e for e in found if e.key not in known and not e.key.startswith(gone))]

    def _digests(self, entries: Iterable[Entry]) -> set[str]:
        """Every digest in a document, whatever it says of it."""
        documents = [entry.key for entry in entries if entry.key.endswith(".json")]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            found = pool.map(self._digests_in, documents)
            return {digest for some in found for digest in some}

    def _digests_in(self, key: str) -> set[str]:
        try:
            return {found.decode() for found in _DIGEST.findall(self._storage.read(key))}
        except KeyNotFound:  # somebody else has removed it meanwhile
            return set()
