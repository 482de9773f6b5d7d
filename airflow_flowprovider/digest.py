"""Many jobs in one line: what the log of a task instance shows of an array."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from flowsdk.aws_batch.state import ACTIVE, FINISHED, JobState


def digest(states: Iterable[JobState]) -> str:
    """How many tasks of some jobs are in which state, as ``12 of 50 tasks ended; RUNNING 3 …``.

    Args:
        states: Of the jobs; of the parent of an array, its children count.
    """
    counts: Counter[str] = Counter()
    for state in states:
        counts.update(state.children or {state.status: 1})
    ended = sum(counts[status] for status in FINISHED)
    shown = ", ".join(f"{name} {counts[name]}" for name in (*ACTIVE, *FINISHED) if counts[name])
    return f"{ended} of {counts.total()} tasks ended; {shown}"
