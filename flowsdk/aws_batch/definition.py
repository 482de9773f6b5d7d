"""Job definitions: one for everything that cannot be given when a job is submitted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flowsdk.datastore.hashing import plain_digest
from flowsdk.decorators.settings import StepSettings
from flowsdk.document import canonical_json
from flowsdk.exception import BatchError, UsageError

Platform = Literal["EC2", "FARGATE"]
#: Registration demands amounts; those of the job override them. Valid on Fargate too.
_PLACEHOLDER_RESOURCES = ({"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"})


@dataclass(frozen=True)
class BatchDefaults:
    """What applies to a step whose ``@batch`` does not say otherwise.

    Attributes:
        queue: Job queue.
        image: Container image.
        job_role: Role of the code in the container.
        execution_role: Role that starts the container.
        gpu_queues: GPU type → the job queue whose hosts have it.
        fargate_queues: Job queues that are known to run on Fargate; of others AWS is asked.
    """

    queue: str | None = None
    image: str | None = None
    job_role: str | None = None
    execution_role: str | None = None
    gpu_queues: Mapping[str, str] = field(default_factory=dict)
    fargate_queues: tuple[str, ...] = ()

    def queue_of(self, settings: StepSettings) -> str | None:
        """The job queue of a step; None if none is configured.

        A job cannot ask for a GPU of one type, only for one of a queue whose hosts have it.
        """
        if settings.queue or not settings.gpu_type:
            return settings.queue or self.queue
        return self.gpu_queues.get(settings.gpu_type)

    def platform_of(self, settings: StepSettings) -> Platform | None:
        """What a step's job runs on, as far as that is configured."""
        return "FARGATE" if self.queue_of(settings) in self.fargate_queues else None


def read_gpu_queues(text: str | None, where: str) -> dict[str, str]:
    """GPU type → job queue, from JSON such as ``{"A10G": "queue-a10g"}``; empty for no text.

    Args:
        text: The JSON.
        where: What has it, for messages.

    Raises:
        UsageError: It is anything else.
    """
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(v, str) and v for v in found.values()):
        raise UsageError(
            f"GPU queues ({where}): found {text!r}, expected JSON that says for each GPU type which "
            f'job queue has it, such as {{"A10G": "queue-a10g"}}.'
        )
    return found


def job_definition(
    step: str, settings: StepSettings, defaults: BatchDefaults, platform: Platform = "EC2"
) -> dict[str, Any]:
    """The RegisterJobDefinition request for a step.

    Its name carries a fingerprint of its content: steps that need the same share a definition, and a
    definition of that name that is already there never has to be compared or replaced.

    Args:
        step: Name of the step, for error messages.
        settings: What its decorators ask for.
        defaults: What is configured.
        platform: What the job queue runs on.

    Raises:
        BatchError: There is no image.
    """
    container = container_of(settings, defaults, platform)
    if "image" not in container:
        raise BatchError(
            f"Container image (step {step!r}): found none, expected one with Python, boto3, "
            f"cloudpickle and zstandard. "
            f"Configure a default image, or name one with @batch(image=…)."
        )
    content: dict[str, Any] = {
        "type": "container",
        "platformCapabilities": [platform],
        "containerProperties": container,
        # So that jobs and the ECS tasks under them carry the same cost tags.
        "propagateTags": True,
    }
    return named(content)


def named(content: Mapping[str, Any]) -> dict[str, Any]:
    """A RegisterJobDefinition request with the name that its content gives it."""
    fingerprint = plain_digest([canonical_json(content)])[:16]
    return {"jobDefinitionName": f"flowsdk-{fingerprint}", **content}


def container_of(
    settings: StepSettings, defaults: BatchDefaults, platform: Platform
) -> dict[str, Any]:
    """The container properties of a step's job definition; arguments as of :func:`job_definition`."""
    volumes, mounts = _volumes(settings)
    optional = {
        "image": settings.image or defaults.image,
        "jobRoleArn": settings.job_role or defaults.job_role,
        "executionRoleArn": settings.execution_role or defaults.execution_role,
        "volumes": volumes,
        "mountPoints": mounts,
        "privileged": settings.privileged,
        "linuxParameters": _linux_parameters(settings),
        "logConfiguration": _log_configuration(settings),
    }
    if platform == "FARGATE":
        # Without a public address a job in a subnet without NAT cannot pull its image.
        optional["networkConfiguration"] = {"assignPublicIp": "ENABLED"}
        if settings.ephemeral_storage_gib:
            optional["ephemeralStorage"] = {"sizeInGiB": settings.ephemeral_storage_gib}
    container = {
        "command": ["true"],
        "resourceRequirements": list(_PLACEHOLDER_RESOURCES),
        **{key: value for key, value in optional.items() if value},
    }
    return _merged(container, settings.container_properties)


def _merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Dicts key by key, at any depth; everything else, lists too, replaces what was there."""
    merged = dict(base)
    for key, value in given.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged


def _linux_parameters(settings: StepSettings) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if settings.shared_memory_mib:
        parameters["sharedMemorySize"] = settings.shared_memory_mib
    if settings.max_swap_mib is not None:
        parameters["maxSwap"] = settings.max_swap_mib
    if settings.swappiness is not None:
        parameters["swappiness"] = settings.swappiness
    if settings.tmpfs_size_mib:
        disk = {"containerPath": settings.tmpfs_path, "size": settings.tmpfs_size_mib}
        parameters["tmpfs"] = [disk]
    # https://docs.aws.amazon.com/batch/latest/userguide/efa.html and inf-job-def.html there
    devices = [f"/dev/neuron{n}" for n in range(settings.neuron)]
    devices += [f"/dev/infiniband/uverbs{n}" for n in range(settings.efa)]
    if devices:
        parameters["devices"] = [
            {"hostPath": path, "containerPath": path, "permissions": ["READ", "WRITE"]}
            for path in devices
        ]
    return parameters


def _log_configuration(settings: StepSettings) -> dict[str, Any]:
    if not settings.log_driver and not settings.log_options:
        return {}
    return {
        "logDriver": settings.log_driver or "awslogs",
        "options": dict(settings.log_options),
    }


def _volumes(settings: StepSettings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []

    def add(source: dict[str, Any], path: str) -> None:
        name = f"volume-{len(volumes)}"
        volumes.append({"name": name, **source})
        mounts.append({"sourceVolume": name, "containerPath": path, "readOnly": False})

    for text in settings.host_volumes:
        on_host, _, inside = text.partition(":")
        add({"host": {"sourcePath": on_host}}, inside or on_host)
    for text in settings.efs_volumes:
        file_system, _, inside = text.partition(":")
        encrypted = {"fileSystemId": file_system, "transitEncryption": "ENABLED"}
        add({"efsVolumeConfiguration": encrypted}, inside or f"/mnt/{file_system}")
    return volumes, mounts
