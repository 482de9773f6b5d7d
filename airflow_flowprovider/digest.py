"""Many jobs in a few lines: what the log of a task instance shows of an array."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator

from flowsdk.aws_batch.logs import LogReader
from flowsdk.aws_batch.state import ACTIVE, FINISHED, UNKNOWN, JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.spec import ErrorInfo, TaskResult, TaskSpec

#: Of how many of the tasks of a set that have failed the log of their task instance tells, and how
#: many of the last lines of each.
TOLD = 5
TOLD_LINES = 20


def digest(jobs: Iterable[tuple[int, JobState]]) -> str:
    """How many tasks of some jobs are in which state, as ``12 of 50 tasks ended; RUNNING 3 …``.

    Args:
        jobs: How many tasks each stands for, and its state; of the parent of an array, its children
            count.
    """
    counts: Counter[str] = Counter()
    for size, state in jobs:
        # AWS counts the children of an array only once it has begun with it.
        counts.update(state.children or {state.status: size})
    ended = sum(counts[status] for status in FINISHED)
    order = (*ACTIVE, *FINISHED, UNKNOWN)
    shown = ", ".join(f"{name} {counts[name]}" for name in order if counts[name])
    return f"{ended} of {counts.total()} tasks ended; {shown}"


def failed_task(
    store: FlowDatastore, task: TaskResult | TaskSpec, error: ErrorInfo | None, url: str = ""
) -> Iterator[str]:
    """Lines that tell of one of many tasks that it has failed: why, where, and the end of its log.

    Args:
        store: The flow's datastore.
        task: The attempt that has failed.
        error: What is known of the reason.
        url: Of the page of its job; may be empty.
    """
    reason = f": {error.type.removeprefix('builtins.')}: {error.message}" if error else ""
    link = f" Its job: {url}." if url else ""
    told = f"Task {task.pathspec} (attempt {task.attempt}) failed{reason}".rstrip(".")
    yield f"{told}.{link} The end of its log:"
    lines = LogReader(store, task.run, task.ref).new_lines()
    for line in deque(lines, maxlen=TOLD_LINES):
        yield f"    {line.text}"
