"""Reading the log of a job's task: from the datastore, and from CloudWatch where that has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowsdk.datastore import FlowDatastore
from flowsdk.runtime.logs import LogLine, parse_chunk
from flowsdk.spec import TaskRef

#: Where AWS Batch sends what containers print, unless a job definition says otherwise.
LOG_GROUP = "/aws/batch/job"
#: Of one look into CloudWatch: who died early has not said much, and the end is what matters.
_MAX_EVENTS = 1000


class LogReader:
    """Reads the chunks of an attempt's log, each once.

    Args:
        store: The flow's datastore.
        run: Run id.
        ref: The attempt.
        next_chunk: The first chunk to read; those before it have been seen.
    """

    def __init__(self, store: FlowDatastore, run: str, ref: TaskRef, next_chunk: int = 0) -> None:
        self._store = store
        self._run = run
        self._ref = ref
        self.next_chunk = next_chunk

    def new_lines(self) -> Iterator[LogLine]:
        """The lines that have come since the last call; one request more than there are chunks."""
        while (lines := self.next_lines()) is not None:
            yield from lines

    def next_lines(self) -> list[LogLine] | None:
        """The lines of the next chunk, which then count as seen; None if it is not there (yet)."""
        data = self._store.read_log_chunk(self._run, self._ref, self.next_chunk)
        if data is None:
            return None
        lines = parse_chunk(data)
        self.next_chunk += 1
        return lines


def container_log(client: Any, stream: str, group: str = LOG_GROUP) -> list[str]:
    """The last lines that a container printed, from CloudWatch; empty if they cannot be had.

    Args:
        client: A boto3 CloudWatch Logs client.
        stream: From the job's description.
        group: Name of the log group.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        events = client.get_log_events(
            logGroupName=group, logStreamName=stream, limit=_MAX_EVENTS, startFromHead=False
        )["events"]
    except (BotoCoreError, ClientError):
        # The log only explains a failure that is reported anyway, and often nobody may read it.
        return []
    return [str(event["message"]) for event in events]
