"""Job definitions: one for everything that cannot be given when a job is submitted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flowsdk.decorators.settings import StepSettings
from flowsdk.document import canonical_json
from flowsdk.exception import BatchError

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
    """

    queue: str | None = None
    image: str | None = None
    job_role: str | None = None
    execution_role: str | None = None


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
        BatchError: There is no image, or a volume is malformed.
    """
    content: dict[str, Any] = {
        "type": "container",
        "platformCapabilities": [platform],
        "containerProperties": _container(step, settings, defaults, platform),
        # So that jobs and the ECS tasks under them carry the same cost tags.
        "propagateTags": True,
    }
    fingerprint = hashlib.sha256(canonical_json(content)).hexdigest()[:16]
    return {"jobDefinitionName": f"flowsdk-{fingerprint}", **content}


def _container(
    step: str, settings: StepSettings, defaults: BatchDefaults, platform: Platform
) -> dict[str, Any]:
    image = settings.image or defaults.image
    if not image:
        raise BatchError(
            f"Container image (step {step!r}): found none, expected one with Python, boto3, "
            f"cloudpickle and zstandard. "
            f"Configure a default image, or name one with @batch(image=…)."
        )
    volumes, mounts = _volumes(step, settings)
    optional = {
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
    return {
        "image": image,
        "command": ["true"],
        "resourceRequirements": list(_PLACEHOLDER_RESOURCES),
        **{key: value for key, value in optional.items() if value},
    }


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


def _volumes(
    step: str, settings: StepSettings
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []

    def add(source: dict[str, Any], path: str) -> None:
        name = f"volume-{len(volumes)}"
        volumes.append({"name": name, **source})
        mounts.append({"sourceVolume": name, "containerPath": path, "readOnly": False})

    for text in settings.host_volumes:
        on_host, inside = _pair(step, "host_volumes", text, text)
        add({"host": {"sourcePath": on_host}}, inside)
    for text in settings.efs_volumes:
        file_system, inside = _pair(step, "efs_volumes", text, f"/mnt/{text}")
        encrypted = {"fileSystemId": file_system, "transitEncryption": "ENABLED"}
        add({"efsVolumeConfiguration": encrypted}, inside)
    return volumes, mounts


def _pair(step: str, name: str, text: str, default: str) -> Sequence[str]:
    parts = text.split(":") if ":" in text else [text, default]
    if len(parts) != 2 or not all(parts) or not parts[1].startswith("/"):
        raise BatchError(
            f"@batch({name}=…) (step {step!r}): found {text!r}, expected 'source:/in/container'."
        )
    return parts
