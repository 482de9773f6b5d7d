"""What tells a run that goes on from one whose process was killed and could not note its end."""

from __future__ import annotations

import time
from contextlib import suppress

from flowsdk.datastore import FlowDatastore
from flowsdk.exception import DatastoreError

#: How often a run notes that it goes on. The client waits for five times as long.
BEAT_SECONDS = 60.0


class Heartbeat:
    """Notes now and then that a run goes on.

    How it works:
        Without a thread, because its process forks: call :meth:`beat` in a loop. All that counts is
        when the note was written, as the datastore itself says: the same for a folder and for S3.

    Args:
        store: Of the run's flow.
        run: Run id.
    """

    def __init__(self, store: FlowDatastore, run: str) -> None:
        self._store = store
        self._run = run
        self._due = time.monotonic()

    def beat(self) -> None:
        """Write the note if it is time to."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + BEAT_SECONDS
        with suppress(DatastoreError):  # the run need not fail for it, and the next one may succeed
            self._store.write_alive(self._run)
