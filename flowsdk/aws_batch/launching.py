"""From a TaskSpec to a job, and from a finished job to a TaskResult: what every launcher does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import islice, takewhile

from flowsdk.aws_batch.definition import BatchDefaults, Platform, job_definition
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.multinode import multinode_definition, multinode_submission
from flowsdk.aws_batch.names import job_name
from flowsdk.aws_batch.objections import refuse
from flowsdk.aws_batch.state import JobState, failure
from flowsdk.aws_batch.submission import submission
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.decorators.settings import StepSettings
from flowsdk.spec import TaskResult, TaskSpec
from flowsdk.taskset import gang_size

#: Of an array job. https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html
MAX_ARRAY = 10_000


def submit_task(
    jobs: BatchJobs,
    store: FlowDatastore,
    spec: TaskSpec,
    settings: StepSettings,
    defaults: BatchDefaults,
) -> str:
    """Submit the job of one attempt, whose spec must lie in the datastore. Returns the job's id.

    Named so that whoever looks for the task's job finds it.

    Args:
        jobs: Where to submit.
        store: The flow's datastore.
        spec: The attempt.
        settings: What the step's decorators ask for.
        defaults: What is configured.

    Raises:
        BatchError: Something is not configured, or AWS refuses the job.
    """
    name = job_name(spec.flow, spec.run, spec.step, spec.task, spec.attempt)
    uri = store.spec_uri(spec.run, spec.ref)
    return submit_tasks(jobs, [spec], uri, name, settings, defaults)


def submit_gang(
    jobs: BatchJobs,
    store: FlowDatastore,
    specs: Sequence[TaskSpec],
    settings: StepSettings,
    defaults: BatchDefaults,
) -> str:
    """Submit the job of one attempt of a whole gang, as :func:`submit_task`.

    Args:
        jobs: Where to submit.
        store: The flow's datastore.
        specs: Of all tasks of the gang, the control task's first.
        settings: What the step's decorators ask for.
        defaults: What is configured.
    """
    control = specs[0]
    place = keys.set_name(control.task, 0, 0)
    store.write_specs(place, specs)
    uri = f"{store.specs_uri(control.run, place, control.ref)}#0"
    name = job_name(control.flow, control.run, control.step, control.task, control.attempt)
    return submit_tasks(jobs, specs, uri, name, settings, defaults)


def submit_tasks(
    jobs: BatchJobs,
    specs: Sequence[TaskSpec],
    uri: str,
    name: str,
    settings: StepSettings,
    defaults: BatchDefaults,
) -> str:
    """Submit one job for tasks of a step, as :func:`in_jobs` puts them together. Returns its id.

    Of several tasks the job is an array; of a gang it has as many nodes as tasks.

    Args:
        jobs: Where to submit.
        specs: Of the tasks.
        uri: Where they lie; see :mod:`flowsdk.runtime.loader`.
        name: Of the job.
        settings: What the step's decorators ask for.
        defaults: What is configured.

    Raises:
        BatchError: Something is not configured, or AWS refuses the job.
    """
    platform = platform_of(jobs, settings, defaults)
    refuse(specs[0].step, settings, defaults, platform)
    definition = job_definition(specs[0].step, settings, defaults, platform)
    request = submission(
        name,
        definition["jobDefinitionName"],
        specs[0],
        uri,
        settings,
        defaults,
        platform,
        len(specs),
    )
    if is_gang(specs):
        definition = multinode_definition(definition)
        request = multinode_submission(request, definition["jobDefinitionName"], len(specs))
    return jobs.submit(request, definition)


def is_gang(specs: Sequence[TaskSpec]) -> bool:
    """Whether the tasks of a job are a gang that needs several nodes."""
    return gang_size(specs[0].foreach) > 1


def in_jobs(specs: Sequence[TaskSpec]) -> list[range]:
    """Which of some tasks run in one job: each gang in one of its own, all others in arrays.

    Args:
        specs: Of the tasks; those of a gang stand together.

    Returns:
        Ranges of positions, in order.
    """
    found: list[range] = []
    while (start := found[-1].stop if found else 0) < len(specs):
        size = gang_size(specs[start].foreach)
        if size == 1:
            others = takewhile(lambda spec: gang_size(spec.foreach) == 1, specs[start:])
            size = sum(1 for _ in islice(others, MAX_ARRAY))
        found.append(range(start, start + size))
    return found


def node_id(job_id: str, index: int) -> str:
    """The id of the job of one task of a gang."""
    return f"{job_id}#{index}"


def settle(store: FlowDatastore, spec: TaskSpec, state: JobState) -> TaskResult:
    """The result of an attempt whose job has ended; a failed one is stored if it left none.

    A job that never reached our code, or was killed outright, cannot say so itself. The first
    result wins: if the job's own arrives after all, it is the one returned.

    Args:
        store: The flow's datastore.
        spec: The attempt.
        state: Of its job, finished.
    """
    result = store.find_result(spec.run, spec.ref)
    if result is None:
        store.write_result(_failed(spec, state))
        result = store.read_result(spec.run, spec.ref)
    return result


def _failed(spec: TaskSpec, state: JobState) -> TaskResult:
    ended = state.stopped_at or state.created_at or time.time_ns() // 1_000_000
    return TaskResult(
        flow=spec.flow,
        run=spec.run,
        step=spec.step,
        task=spec.task,
        attempt=spec.attempt,
        status="failed",
        started_at=_iso(state.started_at or ended),
        finished_at=_iso(ended),
        error=failure(state),
        foreach=spec.foreach,
        batch_job=state.id,
        code=spec.code,
    )


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat()


def platform_of(jobs: BatchJobs, settings: StepSettings, defaults: BatchDefaults) -> Platform:
    """What a step's job will run on; AWS is asked only where it is not known anyway."""
    if known := defaults.platform_of(settings):
        return known
    queue = defaults.queue_of(settings)
    # Fargate demands an execution role: without one it is something else.
    if queue and (settings.execution_role or defaults.execution_role):
        return jobs.platform(queue)
    return "EC2"
