"""SubmitJob requests: all that differs from job to job."""

from __future__ import annotations

import math
import re
from typing import Any

from flowsdk.aws_batch import fargate
from flowsdk.aws_batch.definition import BatchDefaults, Platform
from flowsdk.aws_batch.state import HOST_LOST
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from flowsdk.runtime import loader
from flowsdk.spec import TaskSpec

#: Attempts that Batch itself makes when the infrastructure fails, the first included.
INFRASTRUCTURE_ATTEMPTS = 3
#: Conditions that a user's code cannot cause; the last one keeps all else from being retried.
#: https://docs.aws.amazon.com/batch/latest/userguide/best-practices.html#bestpractice6
_EVALUATE_ON_EXIT = (
    *({"onStatusReason": f"{reason}*", "action": "RETRY"} for reason in HOST_LOST),
    {"onReason": "CannotPullContainer*", "action": "RETRY"},
    {"onReason": "DockerTimeout*", "action": "RETRY"},
    {"onReason": "*", "action": "EXIT"},
)
#: https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
_MIN_TIMEOUT_SECONDS = 60
#: The runtime enforces a @timeout exactly and needs time to start and to say so; Batch's own
#: timeout is for a job that no longer reacts.
_TIMEOUT_SLACK_SECONDS = 30
#: https://docs.aws.amazon.com/batch/latest/userguide/using-tags.html
_TAG_FOREIGN = re.compile(r"[^\w +=.:/@-]")
_TAG_CHARACTERS = 256
_ENVIRONMENT = {
    # Sets and dicts in the same order in every attempt: equal artifacts are equal bytes.
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}


def submission(
    name: str,
    definition: str,
    spec: TaskSpec,
    spec_uri: str,
    settings: StepSettings,
    defaults: BatchDefaults,
    platform: Platform = "EC2",
    size: int = 1,
) -> dict[str, Any]:
    """The SubmitJob request for one attempt of a task.

    The container is told where its TaskSpec lies and nothing else, so that the request stays far
    below AWS's limits (30 KiB, of overrides 8 KiB) however many inputs the task has.

    Args:
        name: Of the job, from :mod:`flowsdk.aws_batch.names`.
        definition: Name of the job definition.
        spec: The attempt; of an array, the first.
        spec_uri: Where its spec lies; see :mod:`flowsdk.runtime.loader`.
        settings: What the step's decorators ask for.
        defaults: What is configured.
        platform: What the job queue runs on.
        size: Number of tasks; of more than one the job is an array.

    Raises:
        BatchError: There is no job queue.
    """
    queue = defaults.queue_of(settings)
    if not queue:
        raise BatchError(
            f"Job queue (step {spec.step!r}): found none, expected the name of one. Configure a "
            f"default queue, or name one with @batch(queue=…)."
        )
    request: dict[str, Any] = {
        "jobName": name,
        "jobQueue": queue,
        "jobDefinition": definition,
        "containerOverrides": {
            "command": [settings.executable, "-c", loader.source(), spec_uri],
            "environment": [
                {"name": key, "value": value} for key, value in _environment(settings).items()
            ],
            "resourceRequirements": resource_requirements(settings, platform),
        },
        "retryStrategy": {
            "attempts": INFRASTRUCTURE_ATTEMPTS,
            "evaluateOnExit": [dict(condition) for condition in _EVALUATE_ON_EXIT],
        },
        "propagateTags": True,
        "tags": _tags(spec, settings, size),
    }
    if size > 1:
        request["arrayProperties"] = {"size": size}
    if settings.share_identifier:
        request["shareIdentifier"] = settings.share_identifier
    if settings.scheduling_priority is not None:
        request["schedulingPriorityOverride"] = settings.scheduling_priority
    if settings.timeout_seconds:
        seconds = math.ceil(settings.timeout_seconds) + _TIMEOUT_SLACK_SECONDS
        request["timeout"] = {"attemptDurationSeconds": max(_MIN_TIMEOUT_SECONDS, seconds)}
    return request


def _environment(settings: StepSettings) -> dict[str, str]:
    if settings.tmpfs_size_mib and settings.tmpfs_tempdir:
        return {**_ENVIRONMENT, "TMPDIR": settings.tmpfs_path}
    return _ENVIRONMENT


def resource_requirements(settings: StepSettings, platform: Platform) -> list[dict[str, str]]:
    """What a step asks for, as Batch spells it. EC2 sells whole vCPUs only; Fargate fractions."""
    cpu, memory = settings.cpu, math.ceil(settings.memory_mib * settings.oom_factor**settings.ooms)
    if platform == "EC2":
        cpu = math.ceil(cpu)
    elif memory > settings.memory_mib:
        cpu, memory = fargate.fitting(cpu, memory)
    amounts = {"VCPU": f"{cpu:g}", "MEMORY": str(memory)}
    if settings.gpu:
        amounts["GPU"] = str(settings.gpu)
    return [{"type": kind, "value": value} for kind, value in amounts.items()]


def tag_value(text: str) -> str:
    """A text as AWS takes it for the value of a tag."""
    return _TAG_FOREIGN.sub("_", text)[:_TAG_CHARACTERS]


def _tags(spec: TaskSpec, settings: StepSettings, size: int) -> dict[str, str]:
    own = {
        "flow": spec.flow,
        "run": spec.run,
        "step": spec.step,
        "task": spec.task if size == 1 else f"{spec.task} and {size - 1} more",
        "user": spec.user,
        "project": spec.facts.get("project_name", ""),
        "branch": spec.facts.get("branch_name", ""),
    }
    # What users give is valid already; of ours, AWS may not take every character.
    return {**settings.tags, **{key: tag_value(value) for key, value in own.items() if value}}
