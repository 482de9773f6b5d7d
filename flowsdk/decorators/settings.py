"""What the decorators of a step add up to: one frozen description for whoever launches it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowsdk.decorators.base import StepDecorator, decorators_of
from flowsdk.decorators.parallel import Parallel
from flowsdk.decorators.prepare import flow_decorators, prepare
from flowsdk.decorators.schedule import Schedule, ScheduleSettings
from flowsdk.decorators.timeout import Timeout

#: What a job has anyway: https://docs.aws.amazon.com/batch/latest/APIReference/API_EphemeralStorage.html
_FARGATE_DISK_GIB = 20


@dataclass(frozen=True)
class StepSettings:
    """How a step is to be run.

    Attributes:
        cpu: Virtual CPUs.
        memory_mib: MiB.
        gpu: Number of GPUs.
        gpu_type: Name of the GPU, or None.
        image: Container image, or None for the configured one.
        queue: Job queue, or None for the configured one.
        job_role: Role of the code in the container, or None for the configured one.
        execution_role: Role that starts the container, or None for the configured one.
        shared_memory_mib: Of ``/dev/shm``, or None for the platform's default.
        max_swap_mib: Swap space, or None.
        swappiness: 0 to 100, or None.
        tmpfs_size_mib: Size of a RAM disk, or None for no disk.
        tmpfs_path: Where it is mounted.
        tmpfs_tempdir: Whether temporary files go there.
        ephemeral_storage_gib: Fargate's disk, or None.
        log_driver: Or None for the platform's default.
        log_options: Of the log driver.
        privileged: Whether the container has root rights on its host.
        host_volumes: ``/on/host[:/in/container]`` each.
        efs_volumes: ``fs-id[:/in/container]`` each.
        tags: Of the job.
        share_identifier: Whose share of the queue it takes, or None.
        scheduling_priority: 0 to 9999 within that share, or None.
        container_properties: What of a job definition's container the step's author says himself.
        neuron: Number of AWS Inferentia or Trainium chips.
        efa: Number of Elastic Fabric Adapters.
        executable: Python in the container.
        retry_times: How many times user code may fail before the task does.
        retry_delay_minutes: Wait before each retry.
        oom_factor: By how much the memory grows each time that a task has run out of it.
        ooms: How often the task to be launched has.
        timeout_seconds: Or None for no limit.
        environment: Environment variables of the task.
        on_batch: Whether the step has ``@batch``.
        catches: Whether the step has ``@catch``.
        gang: Whether the step has ``@parallel`` or the like.
        array: Whether the splits of the foreach around the step run as arrays on AWS Batch.
    """

    cpu: float = 1
    memory_mib: int = 4096
    gpu: int = 0
    gpu_type: str | None = None
    image: str | None = None
    queue: str | None = None
    job_role: str | None = None
    execution_role: str | None = None
    shared_memory_mib: int | None = None
    max_swap_mib: int | None = None
    swappiness: int | None = None
    tmpfs_size_mib: int | None = None
    tmpfs_path: str = "/flowsdk_temp"
    tmpfs_tempdir: bool = True
    ephemeral_storage_gib: int | None = None
    log_driver: str | None = None
    log_options: Mapping[str, str] = field(default_factory=dict)
    privileged: bool = False
    host_volumes: tuple[str, ...] = ()
    efs_volumes: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    share_identifier: str | None = None
    scheduling_priority: int | None = None
    container_properties: Mapping[str, Any] = field(default_factory=dict)
    neuron: int = 0
    efa: int = 0
    executable: str = "python3"
    retry_times: int = 0
    retry_delay_minutes: float = 2
    oom_factor: float = 1
    ooms: int = 0
    timeout_seconds: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    on_batch: bool = False
    catches: bool = False
    gang: bool = False
    array: bool = False

    @property
    def tries(self) -> int:
        """How often the step may be tried for its own sake.

        One more with ``@catch``, which acts where the step runs: if it is lost with all of its job,
        another job has to.
        """
        return 1 + self.retry_times + self.catches


def step_settings(flow: type, step: str, extra: Sequence[StepDecorator] = ()) -> StepSettings:
    """What the decorators of a step ask for.

    Of a key that both ``@resources`` and ``@batch`` have, the larger value counts, as in Metaflow:
    what ``@batch`` does not say is no value, what ``@resources`` does not say is its default.

    Args:
        flow: The flow class.
        step: Name of the step.
        extra: Decorators from ``--with``; a decorator on the step itself wins over one of the kind.

    Raises:
        DecoratorError: The step does not exist, or its decorators do not go together.
    """
    known = prepare(flow, extra).settings
    if step not in known:
        known[step] = _added_up(decorators_of(flow, step, extra))
    found: StepSettings = known[step]
    return found


def _added_up(decorators: Sequence[StepDecorator]) -> StepSettings:
    found = {decorator.name: decorator for decorator in decorators}
    attributes = {name: decorator.attributes for name, decorator in found.items()}
    retry = attributes.get("retry", {})
    timeout = found.get("timeout")
    variables = attributes.get("environment", {}).get("vars", {})
    return StepSettings(
        **(amounts := _resources(attributes.get("resources", {}), attributes.get("batch", {}))),
        **_container(attributes.get("batch", {}), amounts["memory_mib"]),
        retry_times=retry.get("times", 0),
        retry_delay_minutes=retry.get("minutes_between_retries", 2),
        oom_factor=retry.get("on_oom") or 1,
        timeout_seconds=timeout.total_seconds if isinstance(timeout, Timeout) else None,
        environment={key: str(value) for key, value in variables.items()},
        on_batch="batch" in found,
        catches="catch" in found,
        gang=any(isinstance(decorator, Parallel) for decorator in found.values()),
    )


def flow_schedule(flow: type) -> ScheduleSettings | None:
    """When a flow runs by itself; None if it does not."""
    for decorator in flow_decorators(flow, "schedule"):
        if isinstance(decorator, Schedule):
            return decorator.settings
    return None


def _resources(resources: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Any]:
    def larger(key: str) -> float | None:
        given = [float(d[key]) for d in (resources, batch) if d.get(key) is not None]
        return max(given) if given else None

    def whole(key: str) -> int | None:
        amount = larger(key)
        return None if amount is None else int(amount)

    return {
        "cpu": larger("cpu") or 1,
        "memory_mib": whole("memory") or 4096,
        "gpu": whole("gpu") or 0,
        "gpu_type": resources.get("gpu_type"),
        "shared_memory_mib": whole("shared_memory"),
        "ephemeral_storage_gib": _disk_gib(resources.get("disk"), batch.get("ephemeral_storage")),
    }


def _disk_gib(resources_mib: Any, batch_gib: Any) -> int | None:
    """The larger of the two; None where Fargate's own 20 GiB are enough."""
    gib = max(math.ceil(float(resources_mib or 0) / 1024), int(float(batch_gib or 0)))
    return gib if gib > _FARGATE_DISK_GIB else None


def _container(batch: Mapping[str, Any], memory_mib: int) -> dict[str, Any]:
    if not batch:
        return {}

    def whole(key: str) -> int | None:
        return None if batch[key] is None else int(float(batch[key]))

    tmpfs = whole("tmpfs_size") or (memory_mib // 2 if batch["use_tmpfs"] else None)
    options = dict(option.split(":", 1) for option in batch["log_options"])
    return {
        "image": batch["image"],
        "queue": batch["queue"],
        "job_role": batch["iam_role"],
        "execution_role": batch["execution_role"],
        "max_swap_mib": whole("max_swap"),
        "swappiness": whole("swappiness"),
        "tmpfs_size_mib": tmpfs,
        "tmpfs_path": batch["tmpfs_path"],
        "tmpfs_tempdir": bool(batch["tmpfs_tempdir"]),
        "log_driver": batch["log_driver"],
        "log_options": options,
        "privileged": bool(batch["privileged"]),
        "host_volumes": batch["host_volumes"],
        "efs_volumes": batch["efs_volumes"],
        "tags": batch["aws_batch_tags"],
        "share_identifier": batch["share_identifier"],
        "scheduling_priority": whole("scheduling_priority"),
        "container_properties": batch["container_properties"],
        "array": bool(batch["array"]),
        "neuron": whole("inferentia") or whole("trainium") or 0,
        "efa": whole("efa") or 0,
        "executable": batch["executable"] or "python3",
    }
