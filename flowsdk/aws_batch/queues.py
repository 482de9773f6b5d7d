"""Job queues and the compute environments behind them, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def queue_in_words(client: Any, queue: str) -> str:
    """What there is to know of a queue in which a job waits: its state, and that of its hosts.

    Args:
        client: A boto3 Batch client.
        queue: Name or ARN.

    Returns:
        Words such as ``ENABLED, VALID; compute environment spot: ENABLED, INVALID, its reason``.
    """
    found = client.describe_job_queues(jobQueues=[queue])["jobQueues"]
    if not found:
        return "not found"
    order = sorted(found[0].get("computeEnvironmentOrder", ()), key=lambda entry: entry["order"])
    names = [entry["computeEnvironment"] for entry in order]
    described = []
    if names:
        answer = client.describe_compute_environments(computeEnvironments=names)
        described = sorted(
            answer["computeEnvironments"],
            key=lambda each: _place(each, names),
        )
    parts = [", ".join(_state(found[0])), *(_environment(each) for each in described)]
    return "; ".join(parts)


def _place(environment: Mapping[str, Any], names: Sequence[str]) -> int:
    """Where in the order of a queue, which gives names or ARNs, an environment stands."""
    known = (environment.get("computeEnvironmentArn"), environment["computeEnvironmentName"])
    return next((place for place, name in enumerate(names) if name in known), len(names))


def _environment(environment: Mapping[str, Any]) -> str:
    resources = environment.get("computeResources") or {}
    words = [*_state(environment)]
    if resources.get("type"):
        words.append(resources["type"])
    if "maxvCpus" in resources:
        words.append(f"at most {resources['maxvCpus']} vCPU")
    if "desiredvCpus" in resources:
        words.append(f"now {resources['desiredvCpus']}")
    return f"compute environment {environment['computeEnvironmentName']}: {', '.join(words)}"


def _state(thing: Mapping[str, Any]) -> Iterator[str]:
    """Of a queue or a compute environment: both say it in the same way."""
    for name in ("state", "status", "statusReason"):
        if thing.get(name):
            yield thing[name]
