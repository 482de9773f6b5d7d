"""From a TaskSpec to a job, and from a finished job to a TaskResult: what every launcher does."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from flowsdk.aws_batch.definition import BatchDefaults, Platform, job_definition
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.names import job_name
from flowsdk.aws_batch.state import JobState, failure
from flowsdk.aws_batch.submission import submission
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.spec import TaskResult, TaskSpec


def submit_task(
    jobs: BatchJobs,
    store: FlowDatastore,
    spec: TaskSpec,
    settings: StepSettings,
    defaults: BatchDefaults,
    generation: int = 0,
) -> str:
    """Submit the job of one attempt, whose spec must lie in the datastore. Returns the job's id.

    Args:
        jobs: Where to submit.
        store: The flow's datastore.
        spec: The attempt.
        settings: What the step's decorators ask for.
        defaults: What is configured.
        generation: Of the task; see :func:`flowsdk.aws_batch.names.job_prefix`.

    Raises:
        BatchError: Something is not configured, or AWS refuses the job.
    """
    platform = _platform(jobs, settings, defaults)
    definition = job_definition(spec.step, settings, defaults, platform)
    request = submission(
        job_name(spec.flow, spec.run, spec.step, spec.task, spec.attempt, generation),
        definition["jobDefinitionName"],
        spec,
        store.spec_uri(spec.run, spec.ref),
        settings,
        defaults,
        platform,
    )
    return jobs.submit(request, definition)


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


def _platform(jobs: BatchJobs, settings: StepSettings, defaults: BatchDefaults) -> Platform:
    """Fargate demands an execution role: without one there is no need to ask what the queue is."""
    queue = settings.queue or defaults.queue
    if queue and (settings.execution_role or defaults.execution_role):
        return jobs.platform(queue)
    return "EC2"
