"""The end of a task: its log to the last line, its record, and success or the right failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from airflow_flowprovider.records import TaskInstance, push_record
from flowsdk.aws_batch.launching import settle
from flowsdk.aws_batch.logs import LogReader, container_log
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import BatchError, TaskFailed
from flowsdk.spec import TaskRecord, TaskResult, TaskSpec


def outcome(
    store: FlowDatastore,
    spec: TaskSpec,
    log: LogReader,
    show: Callable[[str], None],
    state: JobState | None,
    open_logs: Callable[[], tuple[Any, str]],
) -> TaskResult:
    """The result of an attempt that has ended; the rest of its log is shown first.

    Args:
        store: The flow's datastore.
        spec: The attempt.
        log: Of the attempt, read as far as it has been shown.
        show: Called with each line.
        state: Of its job; None if it is not known. Needed where the attempt left no result.
        open_logs: Gives a CloudWatch Logs client and the name of the log group.

    Raises:
        BatchError: There is no result, and the job is not over or nothing is known of it.
    """
    found = store.find_result(spec.run, spec.ref)
    for line in log.new_lines():
        show(line.text)
    if found is not None:
        return found
    # Writing a failed result now would shut out the one that the job may still bring.
    if state is None:
        raise BatchError(
            f"Task {spec.pathspec}: found no result, and AWS Batch does not say what became of its "
            f"job. Trying the task again settles it."
        )
    if state.active:
        raise BatchError(
            f"Batch job {state.id} ({spec.pathspec}): found it {state.status}, expected a finished "
            f"job. Trying the task again takes it up."
        )
    if log.next_chunk == 0 and state.log_stream:
        # Our code in the container never came to writing a log: what it printed lies elsewhere.
        client, group = open_logs()
        for text in container_log(client, state.log_stream, group):
            show(text)
    return settle(store, spec, state)


def conclude(
    ti: TaskInstance,
    store: FlowDatastore,
    result: TaskResult,
    job_id: str | None,
    failures: Callable[[], int],
    retry_times: int,
) -> list[int] | None:
    """Leave the task's record and end the task as its result says.

    Args:
        ti: Airflow's task instance.
        store: The flow's datastore.
        result: Of the attempt that counts.
        job_id: Its job.
        failures: Counts how often the user's code has failed since the task was last cleared.
        retry_times: How often it may and be tried again.

    Returns:
        Of a foreach, the indices that the steps after it are mapped over.

    Raises:
        TaskFailed: The attempt failed and may be tried again.
        AirflowFailException: It failed, and trying again would be once too often.
    """
    uri = store.result_uri(result.run, result.ref)
    push_record(ti, TaskRecord.of(result, uri, job_id))
    if result.succeeded:
        return None if result.splits is None else _split_indices(result)
    error = task_failed(result)
    if error.kind == "user" and failures() > retry_times:
        raise AirflowFailException(str(error)) from error
    raise error


def task_failed(result: TaskResult) -> TaskFailed:
    """The exception that stands for a failed result."""
    if result.error is None:
        return TaskFailed(f"Task {result.pathspec} failed and did not say why.", "system")
    name = result.error.type.removeprefix("builtins.")
    return TaskFailed(
        f"Task {result.pathspec} (attempt {result.attempt}) failed: {name}: {result.error.message}",
        result.error.kind,
        result.error.type,
        result.error.traceback,
    )


def _split_indices(result: TaskResult) -> list[int]:
    count = result.splits.count if result.splits else 0
    limit = conf.getint("core", "max_map_length", fallback=1024)
    if count > limit:
        raise AirflowFailException(
            f"Foreach of step {result.step!r} ({result.pathspec}): found {count} splits, expected at "
            f"most {limit}, Airflow's [core] max_map_length. Raise that option, or put several "
            f"elements into one split."
        )
    return list(range(count))
