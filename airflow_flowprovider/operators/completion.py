"""The end of a task instance: its log to the last line, its record, success or the right failure."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow.configuration import conf

from airflow_flowprovider.compat import AirflowFailException
from airflow_flowprovider.digest import TOLD, failed_task
from airflow_flowprovider.operators.launching import Job
from airflow_flowprovider.operators.progress import Progress, Unit
from airflow_flowprovider.records import SEVERAL, TaskInstance, push_record
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.launching import settle
from flowsdk.aws_batch.logs import container_log
from flowsdk.aws_batch.state import UNKNOWN, JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError, TaskFailed
from flowsdk.record import TaskRecord
from flowsdk.spec import TaskResult, TaskSpec
from flowsdk.taskset import Outcome, SetOutcome

#: Between two looks at a job that has ended and that AWS shows at work, and how many there are: its
#: answers may be older than what it said before.
_LOOK_AGAIN_SECONDS = 2.0
_LOOKS = 15

Show = Callable[[str], None]
OpenLogs = Callable[[], tuple[Any, str]]


def settle_jobs(
    store: FlowDatastore,
    batch: BatchJobs,
    jobs: Sequence[Job],
    show: Show,
    open_logs: OpenLogs,
    check: Callable[[], None],
) -> None:
    """See to it that every task of some jobs has a result; those that left none have failed.

    Args:
        store: The flow's datastore.
        batch: AWS Batch.
        jobs: Jobs that have ended.
        show: Called with what containers printed that never came to our code.
        open_logs: Gives a CloudWatch Logs client and the name of the log group.
        check: Called often; raises what is to end the waiting.

    Raises:
        BatchError: AWS does not say what became of a job, or it is not over: a failed result
            would shut out the one that the job may still bring.
    """
    for job in jobs:
        specs = dict(enumerate(job.tasks(store)))
        results = store.find_results(specs[0].run, [spec.ref for spec in specs.values()])
        missing = {job.child(i): specs[i] for i, result in enumerate(results) if result is None}
        states = _known(batch, job, _ended(batch, missing, check)) if missing else {}
        for told, (job_id, spec) in enumerate(missing.items()):
            if told < TOLD:
                _show_container(store, spec, states[job_id], show, open_logs)
            # Of an array, a task that never ran has no spec of its own yet.
            store.write_spec(spec)
            settle(store, spec, states[job_id])


def _ended(
    batch: BatchJobs, jobs: Mapping[str, TaskSpec], check: Callable[[], None]
) -> dict[str, JobState]:
    """The states of jobs that have ended, by id."""
    found: dict[str, JobState] = {}
    for look in range(_LOOKS):
        check()
        if look:
            time.sleep(_LOOK_AGAIN_SECONDS)
        lagging = [job_id for job_id in jobs if job_id not in found or found[job_id].active]
        states = batch.describe(lagging)
        found |= {job_id: states.get(job_id, JobState(job_id)) for job_id in lagging}
        if not any(state.active for state in found.values()):
            return found
    state = next(state for state in found.values() if state.active)
    raise BatchError(
        f"Batch job {state.id} ({jobs[state.id].pathspec}): found it {state.status}, expected a "
        f"finished job. Trying the task again takes it up."
    )


def _known(batch: BatchJobs, job: Job, states: dict[str, JobState]) -> dict[str, JobState]:
    """The states, where AWS knows some: a job can end before it has any of its tasks' jobs."""
    unknown = [job_id for job_id, state in states.items() if state.status == UNKNOWN]
    if not unknown or job.size == 1:
        return states
    whole = batch.describe([job.id]).get(job.id)
    if whole is None or whole.active:
        return states
    return states | {job_id: replace(whole, id=job_id) for job_id in unknown}


def _show_container(
    store: FlowDatastore, spec: TaskSpec, state: JobState, show: Show, open_logs: OpenLogs
) -> None:
    """Show what a container printed, if our code in it never came to writing a log."""
    if not state.log_stream or store.read_log_chunk(spec.run, spec.ref, 0) is not None:
        return
    client, group = open_logs()
    for text in container_log(client, state.log_stream, group):
        show(text)


def record_success(
    ti: TaskInstance,
    store: FlowDatastore,
    progress: Progress,
    part: str,
    attempt: int,
    *,
    mapped: bool = False,
) -> int:
    """Leave the record of a task instance whose tasks have all succeeded.

    Args:
        ti: Airflow's task instance.
        store: The flow's datastore.
        progress: Of the task instance.
        part: Its name within the step.
        attempt: Of this try.
        mapped: Whether Airflow maps what follows over the splits of its one task.

    Returns:
        Over how many map indices Airflow maps them.
    """
    results = progress.results()
    if len(results) > 1:
        first = results[0]
        outcome = SetOutcome(first.flow, first.run, first.step, tuple(map(Outcome.of, results)))
        uri = store.write_set_outcome(part, attempt, outcome)
        push_record(ti, replace(_record_of_several(results, part, attempt, uri), outcome=uri))
        return 0
    (result,) = results
    count = result.splits.count if result.splits else 0
    chunk = chunk_size(count) if mapped else 1
    push_record(ti, TaskRecord.of(result, store.result_uri(result.run, result.ref), None, chunk))
    return math.ceil(count / chunk)


def record_failure(
    ti: TaskInstance, store: FlowDatastore, progress: Progress, part: str, attempt: int, why: str
) -> None:
    """Leave the record of a task instance that has failed: some of its tasks have, of loops one time.

    Args:
        ti: Airflow's task instance.
        store: The flow's datastore.
        progress: Of the task instance.
        part: Its name within the step.
        attempt: Of this try.
        why: What it ends with.
    """
    failed = [unit.failed for unit in progress.pending() if unit.failed is not None]
    uri = store.result_uri(failed[0].run, failed[0].ref)
    count = sum(len(unit.past) + len(unit.tasks) for unit in progress.units)
    if count == 1:
        push_record(ti, TaskRecord.of(failed[0], uri))
        return
    record = _record_of_several(failed, part, attempt, uri)
    push_record(ti, replace(record, status="failed", count=count, error=why[:500]))


def _record_of_several(
    results: Sequence[TaskResult], part: str, attempt: int, uri: str
) -> TaskRecord:
    first = results[0]
    return TaskRecord(
        flow=first.flow,
        run=first.run,
        step=first.step,
        task=f"{part}{SEVERAL}",
        attempt=attempt,
        status="succeeded",
        result=uri,
        started_at=min(result.started_at for result in results),
        finished_at=max(result.finished_at for result in results),
        code=first.code,
        count=len(results),
    )


def failure(progress: Progress, settings: StepSettings) -> Exception | None:
    """The exception that a task instance ends with; None if none of its tasks has failed.

    Args:
        progress: Of the task instance.
        settings: What the step's decorators ask for.
    """
    failed = [unit for unit in progress.pending() if unit.failed is not None]
    if not failed:
        return None
    error = _task_failed(progress, failed)
    if any(_is_users(unit) and _is_over(unit, settings) for unit in failed):
        given_up = AirflowFailException(str(error))
        given_up.__cause__ = error
        return given_up
    if all(unit.failures > settings.retry_times for unit in failed):
        # The next try is not the code's: it can come at once.
        return TaskFailed(f"{error} The next try does what its @catch says.", "system")
    return error


def tell_failures(
    store: FlowDatastore, progress: Progress, show: Show, known: Collection[str]
) -> None:
    """Show the ends of the logs of some tasks of a set that have failed.

    Args:
        store: The flow's datastore.
        progress: Of the task instance.
        show: Called with each line.
        known: Ids of tasks that have been told of.
    """
    failed = [unit.failed for unit in progress.pending() if unit.failed is not None]
    news = [result for result in failed if result.task not in known]
    for result in news[: TOLD - len(known)]:
        for line in failed_task(store, result, result.error):
            show(line)
    if len(failed) > TOLD:
        show(f"{len(failed)} tasks have failed; of {TOLD} the log is shown above.")


def _is_users(unit: Unit) -> bool:
    return (
        unit.failed is not None
        and unit.failed.error is not None
        and (unit.failed.error.kind == "user")
    )


def _is_over(unit: Unit, settings: StepSettings) -> bool:
    """Whether the user's code has failed too often; one more try is there for ``@catch``."""
    is_to_be_caught = settings.catches and unit.lost is not None
    return unit.failures > settings.retry_times + is_to_be_caught


def _task_failed(progress: Progress, failed: Sequence[Unit]) -> TaskFailed:
    """What stands for the failed tasks: the first whose author has to act, else the first."""
    unit = next(filter(_is_users, failed), failed[0])
    result = unit.failed
    assert result is not None
    many = len(progress.units) > 1
    summary = f"{len(failed)} of {len(progress.units)} tasks of step {result.step!r} failed. "
    prefix = summary if many else ""
    if result.error is None:
        return TaskFailed(f"{prefix}Task {result.pathspec} failed and did not say why.", "system")
    name = result.error.type.removeprefix("builtins.")
    return TaskFailed(
        f"{prefix}Task {result.pathspec} (attempt {result.attempt}) failed: {name}: "
        f"{result.error.message}",
        result.error.kind,
        result.error.type,
        result.error.traceback,
    )


def chunk_size(count: int) -> int:
    """How many splits a mapped task instance stands for: one, unless Airflow would refuse so many.

    Args:
        count: Number of splits.
    """
    return max(1, math.ceil(count / conf.getint("core", "max_map_length", fallback=1024)))
