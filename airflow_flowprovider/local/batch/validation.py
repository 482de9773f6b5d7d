"""What AWS Batch refuses, in the words in which it does.

The texts that could be found in public reports of the service's answers are the service's; the
others follow its manner. Limits: AWS Batch user guide, "Service quotas", and the API reference.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from airflow_flowprovider.local.batch.container import merge, reserve
from airflow_flowprovider.local.batch.nodes import is_multinode, target_range
from airflow_flowprovider.local.batch.settings import Settings

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
MAX_JOB_BYTES = 30 * 1024
MAX_JOB_DEFINITION_BYTES = 24 * 1024
MAX_OVERRIDES_BYTES = 8192
"""ECS' limit: AWS accepts a job beyond it and then fails it."""
ARRAY_SIZES = range(2, 10_001)
NODE_COUNTS = range(1, 1_001)
MAX_NODE_RANGES = 5
"""User guide, "Node groups"."""
MAX_DEPENDENCIES = 20
MAX_DESCRIBED = 100
MAX_REASON_CHARACTERS = 1024
PRIORITIES = range(10_000)
RETRY_ATTEMPTS = range(1, 11)
MAX_EXIT_CONDITIONS = 5
MIN_MEMORY_MIB = 4

FARGATE_MEMORY_MIB: Mapping[float, frozenset[int]] = {
    0.25: frozenset({512, 1024, 2048}),
    0.5: frozenset(range(1024, 4096 + 1, 1024)),
    1: frozenset(range(2048, 8192 + 1, 1024)),
    2: frozenset(range(4096, 16_384 + 1, 1024)),
    4: frozenset(range(8192, 30_720 + 1, 1024)),
    8: frozenset(range(16_384, 61_440 + 1, 4096)),
    16: frozenset(range(32_768, 122_880 + 1, 8192)),
    32: frozenset({61_440, 122_880, 249_856}),
}
"""vCPU → memory sizes; API reference, ResourceRequirement."""

_TEXT_GLOB = re.compile(r"(?=.{1,512}\Z)[0-9A-Za-z.:\s]*\*?")
_GLOBS = {  # of an evaluateOnExit entry; API reference, EvaluateOnExit
    "onStatusReason": _TEXT_GLOB,
    "onReason": _TEXT_GLOB,
    "onExitCode": re.compile(r"(?=.{1,512}\Z)[0-9]*\*?"),
}
_NOT_ON_FARGATE: tuple[str, ...] = ("privileged", "ulimits", "instanceType")
_NOT_ON_EC2: tuple[str, ...] = ("networkConfiguration", "fargatePlatformConfiguration")


class RequestRefusedError(Exception):
    """A request the service answers with an error.

    Args:
        message: In the service's words.
        code: The error code of the API.
        status: The HTTP status.
    """

    def __init__(self, message: str, code: str = "ClientException", status: int = 400) -> None:
        super().__init__(message, code, status)
        self.message = message
        self.code = code
        self.status = status


def refuse(message: str) -> RequestRefusedError:
    """A ClientException as Batch words it."""
    return RequestRefusedError(
        f"Error executing request, Exception : {message}, RequestId: {uuid.uuid4()}"
    )


def check_job_definition(request: Mapping[str, Any], settings: Settings) -> None:
    """Check a RegisterJobDefinition request.

    Raises:
        RequestRefusedError: As AWS would.
    """
    if _size(request) > MAX_JOB_DEFINITION_BYTES:
        raise refuse(f"Job definition size must be less than 24 KiB, got {_kib(request)} KiB")
    if not NAME_PATTERN.fullmatch(request.get("jobDefinitionName") or ""):
        raise refuse("JobDefinitionName should match valid pattern")
    platforms = request.get("platformCapabilities") or ["EC2"]
    if is_multinode(request):
        check_nodes(request, platforms)
    elif request.get("type") != "container" or "containerProperties" not in request:
        raise refuse(
            "Container properties should not be empty (the embedded AWS runs jobs of type "
            "container, with containerProperties, and multinode only)"
        )
    elif "nodeProperties" in request:
        raise refuse("Node properties should not be set for a job definition of type container")
    else:
        _check_container(request["containerProperties"], platforms)
    check_retry_strategy(request.get("retryStrategy"))
    check_timeout(request.get("timeout"), settings)


def check_job(
    request: Mapping[str, Any],
    definition: Mapping[str, Any],
    settings: Settings,
) -> None:
    """Check a SubmitJob request against the job definition it names.

    Raises:
        RequestRefusedError: As AWS would.
    """
    if _size(request) > MAX_JOB_BYTES:
        raise refuse(f"Job size must be less than 30 KiB, got {_kib(request)} KiB")
    if not NAME_PATTERN.fullmatch(request.get("jobName") or ""):
        raise refuse("Job name should match valid pattern")
    size = (request.get("arrayProperties") or {}).get("size")
    if size is not None and size not in ARRAY_SIZES:
        raise refuse(f"Array size must be between 2 and 10000, but was {size}")
    _check_dependencies(request.get("dependsOn") or [], size)
    if is_multinode(definition):
        _check_node_overrides(request, definition)
    else:
        if "nodeOverrides" in request:
            raise refuse("Node overrides should not be set for jobs that are not multi-node")
        platforms = definition.get("platformCapabilities") or ["EC2"]
        overrides = request.get("containerOverrides") or {}
        _check_overrides(definition["containerProperties"], overrides, platforms)
    check_retry_strategy(request.get("retryStrategy"))
    check_timeout(request.get("timeout"), settings)
    priority = request.get("schedulingPriorityOverride")
    if priority is not None and priority not in PRIORITIES:
        raise refuse(f"Scheduling priority must be between 0 and 9999, but was {priority}")


def check_nodes(request: Mapping[str, Any], platforms: list[str]) -> None:
    """Check ``nodeProperties`` of a job definition."""
    if "FARGATE" in platforms:
        raise refuse("Multi-node parallel jobs are not supported on Fargate")
    if "containerProperties" in request:
        raise refuse(
            "Container properties should not be set for a job definition of type multinode"
        )
    nodes = request.get("nodeProperties") or {}
    ranges = nodes.get("nodeRangeProperties") or []
    if not ranges:
        raise refuse("Node properties should not be empty")
    if len(ranges) > MAX_NODE_RANGES:
        raise refuse(f"Number of node ranges must be at most 5, but was {len(ranges)}")
    for node_range in ranges:
        if len(node_range.get("instanceTypes") or []) > 1:
            raise refuse("Only one instance type can be specified for a node range")
        # The instance type of a node range may be named, that of a container not.
        _check_container(node_range.get("container") or {}, platforms)
    _check_node_count(nodes, nodes.get("numNodes") or 0)


def _check_node_overrides(request: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    """Check what SubmitJob changes of the nodes of its definition."""
    if "arrayProperties" in request:
        raise refuse("Array properties should not be set for multi-node parallel jobs")
    if "containerOverrides" in request:
        raise refuse("Container overrides should not be set for multi-node parallel jobs")
    nodes = definition["nodeProperties"]
    ranges = {entry["targetNodes"]: entry for entry in nodes["nodeRangeProperties"]}
    overrides = request.get("nodeOverrides") or {}
    if "numNodes" in overrides:
        if not any(targets.endswith(":") for targets in ranges):
            raise refuse("Number of nodes can be overridden only with an open node range, as n:")
        _check_node_count(nodes, overrides["numNodes"])
    entries = overrides.get("nodePropertyOverrides") or []
    foreign = [entry["targetNodes"] for entry in entries if entry["targetNodes"] not in ranges]
    if foreign:
        raise refuse(
            f"NodeOverride targets should match job definition. Non matching targets - "
            f"{', '.join(foreign)}"
        )
    platforms = definition.get("platformCapabilities") or ["EC2"]
    for entry in entries:
        container = ranges[entry["targetNodes"]]["container"]
        _check_overrides(container, entry.get("containerOverrides") or {}, platforms)


def _check_node_count(nodes: Mapping[str, Any], count: int) -> None:
    """Check that so many nodes have a main node and a container each."""
    if count not in NODE_COUNTS:
        raise refuse(f"Number of nodes must be between 1 and 1000, but was {count}")
    if not 0 <= nodes.get("mainNode", -1) < count:
        raise refuse(f"Main node index must be less than the number of nodes {count}")
    covered: set[int] = set()
    for node_range in nodes["nodeRangeProperties"]:
        text = node_range.get("targetNodes") or ""
        try:
            targets = target_range(text, count)
        except ValueError:
            raise refuse(f"Target nodes {text} are not a range of {count} nodes") from None
        if targets[-1] >= count:
            raise refuse(f"Target nodes {text} exceed the number of nodes {count}")
        covered.update(targets)
    if missing := sorted(set(range(count)) - covered):
        raise refuse(f"Node ranges must account for all nodes, but node {missing[0]} is in none")


def _check_container(container: Mapping[str, Any], platforms: list[str]) -> None:
    if not container.get("image"):
        raise refuse("Container image should not be null or empty")
    _check_platform(container, platforms)
    check_environment(container)
    check_resources(container, platforms)


def _check_overrides(
    container: Mapping[str, Any], overrides: Mapping[str, Any], platforms: list[str]
) -> None:
    _check_platform(overrides, platforms)
    check_environment(overrides)
    check_resources(merge(container, overrides), platforms)


def check_environment(container: Mapping[str, Any]) -> None:
    """Refuse the names that Batch sets itself."""
    for entry in container.get("environment") or []:
        name = entry.get("name", "")
        if name.startswith("AWS_BATCH"):
            raise refuse(f"Environment variable name {name} must not start with AWS_BATCH")


def check_resources(container: Mapping[str, Any], platforms: list[str]) -> None:
    """Check vCPU, memory and GPU against the rules of EC2 or Fargate."""
    reserved = reserve(container)
    if reserved["VCPU"] is None:
        raise refuse("vCPU is not provided.")
    if reserved["MEMORY"] is None:
        raise refuse("Memory is not provided.")
    try:
        vcpus, memory = float(reserved["VCPU"]), int(reserved["MEMORY"])
        gpus = int(reserved["GPU"] or 0)
    except ValueError as error:
        raise refuse(f"Resource requirement is not a number: {error}") from None
    if "FARGATE" in platforms:
        if gpus:
            raise refuse("GPU is not applicable for Fargate.")
        if memory not in FARGATE_MEMORY_MIB.get(vcpus, ()):
            raise refuse(
                f"Fargate resource requirements ({vcpus:.2f} vCPU, {memory} MiB) not valid."
            )
        return
    if vcpus < 1 or vcpus != int(vcpus):
        raise refuse(f"vCPU must be a whole number and at least 1, but was {reserved['VCPU']}.")
    if memory < MIN_MEMORY_MIB:
        raise refuse(f"Memory must be at least {MIN_MEMORY_MIB} MiB, but was {memory}.")


def check_retry_strategy(strategy: Mapping[str, Any] | None) -> None:
    """Check ``retryStrategy``."""
    if strategy is None:
        return
    attempts = strategy.get("attempts")
    if attempts is None:
        raise refuse("RetryAttempts must be provided with retry strategy")
    if attempts not in RETRY_ATTEMPTS:
        raise refuse(f"RetryAttempts must be between 1 and 10, but was {attempts}")
    conditions = strategy.get("evaluateOnExit") or []
    if len(conditions) > MAX_EXIT_CONDITIONS:
        raise refuse(f"EvaluateOnExit must have at most 5 items, but had {len(conditions)}")
    for condition in conditions:
        if str(condition.get("action", "")).upper() not in {"RETRY", "EXIT"}:
            raise refuse("EvaluateOnExit action must be RETRY or EXIT")
        if not any(name in condition for name in _GLOBS):
            raise refuse("EvaluateOnExit must have at least one condition")
        for name, pattern in _GLOBS.items():
            if name in condition and not pattern.fullmatch(condition[name]):
                raise refuse(f"EvaluateOnExit {name} should match valid pattern")


def check_timeout(timeout: Mapping[str, Any] | None, settings: Settings) -> None:
    """Check ``timeout``."""
    least = settings.minimum_timeout_seconds
    if timeout is not None and (timeout.get("attemptDurationSeconds") or 0) < least:
        raise refuse(f"Timeout attemptDurationSeconds must be at least {least} seconds")


def check_reason(request: Mapping[str, Any]) -> None:
    """Check ``jobId`` and ``reason`` of CancelJob and TerminateJob."""
    for name in ("jobId", "reason"):
        if not request.get(name):
            raise refuse(f"'{name}' is a required field (cannot be an empty string)")
    if len(request["reason"]) > MAX_REASON_CHARACTERS:
        raise refuse(f"Reason must be at most {MAX_REASON_CHARACTERS} characters")


def overrides_too_long(request: Mapping[str, Any]) -> bool:
    """Whether ECS will refuse the container overrides of a job that Batch has accepted."""
    nodes = (request.get("nodeOverrides") or {}).get("nodePropertyOverrides") or []
    all_overrides = [request, *nodes]
    sizes = [_size(each.get("containerOverrides") or {}) for each in all_overrides]
    return max(sizes) > MAX_OVERRIDES_BYTES


def _check_platform(container: Mapping[str, Any], platforms: list[str]) -> None:
    if "FARGATE" in platforms:
        platform, excluded = "Fargate", _NOT_ON_FARGATE
        if "image" in container and not container.get("executionRoleArn"):
            raise refuse("executionRoleArn is required for Fargate.")
    else:
        platform, excluded = "EC2", _NOT_ON_EC2
        if container.get("instanceType"):
            raise refuse("instanceType is not applicable for single-node jobs.")
    for name in excluded:
        if container.get(name):
            raise refuse(f"{name} not applicable for {platform}.")


def _check_dependencies(dependencies: list[Mapping[str, str]], size: int | None) -> None:
    if len(dependencies) > MAX_DEPENDENCIES:
        raise refuse(f"Job can depend on at most 20 jobs, but was {len(dependencies)}")
    for dependency in dependencies:
        kind = dependency.get("type")
        if kind in {"SEQUENTIAL", "N_TO_N"} and size is None:
            raise refuse(f"{kind} dependency is applicable for array jobs only")
        if kind != "SEQUENTIAL" and not dependency.get("jobId"):
            raise refuse("Dependency jobId should not be empty")


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")).encode())


def _kib(value: Any) -> int:
    return -(-_size(value) // 1024)
