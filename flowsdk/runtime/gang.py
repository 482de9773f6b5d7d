"""A gang on AWS Batch, from inside: the nodes of a multi-node parallel job, each with one task.

AWS Batch ends the job, and all other nodes with it, as soon as the main node ends; and it does nothing
if another node fails or is lost. So the main node looks after the others: it stays until each has a
result, and it ends the gang if one fails or is not heard of.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any, NamedTuple

from flowsdk.datastore import FlowDatastore
from flowsdk.exception import DatastoreError
from flowsdk.spec import ForeachFrame, TaskRef, TaskSpec

#: https://docs.aws.amazon.com/batch/latest/userguide/mnp-env-vars.html
_NODE = "AWS_BATCH_JOB_NODE_INDEX"
_MAIN_ADDRESS = "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"
#: Between two notes of a node that it goes on, and between two looks of the main node.
_BEAT_SECONDS = 10.0
_LOOK_SECONDS = 5.0
_OUTLAST_SECONDS = 0.25
#: After so long without a note a node is lost: some more than a hiccup of the datastore takes.
SILENT_SECONDS = 120.0
#: The others start only when the main node runs, and may have a large image to pull first.
START_SECONDS = 1800.0


class GangNode:
    """The node of a gang that this process is.

    How it works:
        Without a thread, because its process forks: call :meth:`poll` in a loop. Nodes know of each
        other by what lies in the datastore: results, and notes that a node goes on. Only whether a
        note has changed counts, not what a clock says.

    Args:
        spec: The task of this node.
        store: The flow's datastore.
        silent_seconds: How long a node may be silent.
        start_seconds: How long it may take to be heard of first.
    """

    def __init__(
        self,
        spec: TaskSpec,
        store: FlowDatastore,
        silent_seconds: float = SILENT_SECONDS,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._spec = spec
        self._store = store
        self._silent_seconds = silent_seconds
        now = time.monotonic()
        self._due = now
        self._others: dict[TaskRef, _Other] = {}
        self._trouble = ""
        frame = spec.foreach[-1]
        if frame.index == 0:
            for index in range(1, frame.count):
                ref = _ref_of(spec, frame, index)
                self._others[ref] = _Other(None, now + start_seconds)

    @classmethod
    def of(cls, spec: TaskSpec, store: FlowDatastore) -> GangNode | None:
        """The node that runs a task here; None if it is in no multi-node job."""
        if "parallel" not in spec.facts or _NODE not in os.environ:
            return None
        return cls(spec, store)

    @property
    def facts(self) -> dict[str, Any]:
        """What ``current`` shows of the gang: the main node's address is known only here."""
        address = os.environ.get(_MAIN_ADDRESS) or own_address()
        return {"parallel": {**self._spec.facts["parallel"], "main_ip": address}}

    def poll(self) -> str:
        """Note that this node goes on; on the main node, see whether the others do.

        Returns:
            Why the gang has to end; empty if it does not.
        """
        now = time.monotonic()
        if now < self._due or self._trouble:
            return self._trouble
        is_main = self._spec.foreach[-1].index == 0
        self._due = now + (_LOOK_SECONDS if is_main else _BEAT_SECONDS)
        try:
            if is_main:
                self._trouble = self._look(now)
            else:
                self._store.write_beat(self._spec.run, self._spec.ref)
        except DatastoreError:
            self._allow(now)  # the others may not have been able to make a note either
        return self._trouble

    def outlast(self) -> bool:
        """Wait until the others have ended; whether all have succeeded.

        To be called when the task of this node has succeeded.
        """
        while self._others and not self.poll():
            time.sleep(_OUTLAST_SECONDS)
        return not self._trouble

    def _look(self, now: float) -> str:
        """Why the gang has to end, as far as the datastore says; empty if nothing does."""
        run, refs = self._spec.run, list(self._others)
        for ref, result in zip(refs, self._store.find_results(run, refs), strict=True):
            if result is not None:
                del self._others[ref]
                if not result.succeeded:
                    return f"task {ref.step}/{ref.task} of its gang has failed"
        refs = list(self._others)
        for ref, beat in zip(refs, self._store.last_beats(run, refs), strict=True):
            other = self._others[ref]
            if beat != other.beat:
                self._others[ref] = _Other(beat, now + self._silent_seconds)
            elif now > other.deadline:
                how = "has not started in time" if beat is None else "is not heard of any more"
                return f"task {ref.step}/{ref.task} of its gang {how}"
        return ""

    def _allow(self, now: float) -> None:
        """Let the others have all the time they may take, from now on."""
        least = now + self._silent_seconds
        for ref, other in self._others.items():
            self._others[ref] = other._replace(deadline=max(other.deadline, least))


class _Other(NamedTuple):
    """Another node: when it made its last note, and until when the next one has to come."""

    beat: float | None
    deadline: float


def own_address() -> str:
    """The address at which other nodes reach this one: what its name means to itself."""
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


def _ref_of(spec: TaskSpec, frame: ForeachFrame, index: int) -> TaskRef:
    """The attempt of another node: its task id differs from this one in the last split index."""
    outer = spec.task.removesuffix(str(frame.index))
    return TaskRef(spec.step, f"{outer}{index}", spec.attempt)
