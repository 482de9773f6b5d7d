"""What AWS Fargate sells and what it does not take, as AWS documents it.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html
https://docs.aws.amazon.com/batch/latest/userguide/fargate-job-definitions.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: vCPUs → the memory that can be had with them, in MiB, ascending.
MEMORY_MIB: Mapping[float, Sequence[int]] = {
    0.25: (512, 1024, 2048),
    0.5: range(1024, 4096 + 1, 1024),
    1: range(2048, 8192 + 1, 1024),
    2: range(4096, 16_384 + 1, 1024),
    4: range(8192, 30_720 + 1, 1024),
    8: range(16_384, 61_440 + 1, 4096),
    16: range(32_768, 122_880 + 1, 8192),
    32: (61_440, 122_880, 249_856),
}
_LOG_DRIVERS = ("awslogs", "splunk")


def fitting(cpu: float, memory_mib: float) -> tuple[float, int]:
    """The smallest combination of vCPUs and MiB that holds an amount; the largest if none does."""
    for vcpus, sizes in MEMORY_MIB.items():
        if vcpus >= cpu:
            for size in sizes:
                if size >= memory_mib:
                    return vcpus, size
    return vcpus, sizes[-1]


def unsold(cpu: float, memory_mib: int) -> str:
    """Why vCPUs and MiB cannot be had together; empty if they can."""
    if memory_mib in MEMORY_MIB.get(cpu, ()):
        return ""
    vcpus, size = fitting(cpu, memory_mib)
    return (
        f"found cpu={cpu:g} and memory={memory_mib}, expected one of Fargate's combinations of vCPUs "
        f"and MiB. The next is cpu={vcpus:g}, memory={size}."
    )


def inapplicable(container: Mapping[str, Any]) -> Iterator[str]:
    """What of ``containerProperties`` Fargate does not take, each by its path."""
    for name in ("privileged", "ulimits", "instanceType"):
        if container.get(name):
            yield name
    linux = container.get("linuxParameters") or {}
    for name in ("devices", "sharedMemorySize", "tmpfs", "maxSwap", "swappiness"):
        if name in linux:
            yield f"linuxParameters.{name}"
    if any("host" in volume for volume in container.get("volumes") or ()):
        yield "volumes.host"
    driver = (container.get("logConfiguration") or {}).get("logDriver")
    if driver and driver not in _LOG_DRIVERS:
        yield f"logConfiguration.logDriver {driver!r}"
