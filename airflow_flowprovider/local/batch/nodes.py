"""The nodes of a multi-node parallel job: how many there are, and the container of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_flowprovider.local.batch.container import (
    Container,
    Resources,
    merge,
    parameters_of,
    resolve_properties,
)

_TARGETS = re.compile(r"(\d*):(\d*)|(\d+)")


def is_multinode(definition: Mapping[str, Any]) -> bool:
    """Whether jobs of a definition have nodes."""
    return definition.get("type") == "multinode"


def node_count(definition: Mapping[str, Any], request: Mapping[str, Any]) -> int:
    """How many nodes a job has: SubmitJob's number, else its definition's."""
    given = (request.get("nodeOverrides") or {}).get("numNodes")
    return int(definition["nodeProperties"]["numNodes"] if given is None else given)


def target_range(text: str, count: int) -> range:
    """The nodes that ``targetNodes`` means: ``n``, ``n:m``, ``n:``, ``:m`` or ``:``.

    Raises:
        ValueError: It means none.
    """
    found = _TARGETS.fullmatch(text)
    if found is None:
        raise ValueError(text)
    first, last, single = found.groups()
    if single is not None:
        return range(int(single), int(single) + 1)
    targets = range(int(first or 0), (int(last) if last else count - 1) + 1)
    if not targets:
        raise ValueError(text)
    return targets


def node_container(
    definition: Mapping[str, Any], request: Mapping[str, Any], index: int
) -> Container:
    """The container of one node, from a definition and a SubmitJob request that were found valid."""
    count = node_count(definition, request)
    node_range = _of_node(definition["nodeProperties"]["nodeRangeProperties"], count, index)
    overrides = _of_node(_property_overrides(request), count, index)
    return resolve_properties(
        (node_range or {})["container"],
        (overrides or {}).get("containerOverrides") or {},
        parameters_of(definition, request),
    )


def all_nodes(containers: Sequence[Container]) -> Container:
    """What a job reserves as a whole: all its nodes, which start together or not at all."""
    needs = [container.resources for container in containers]
    total = Resources(
        vcpus=sum(need.vcpus for need in needs),
        memory_mib=sum(need.memory_mib for need in needs),
        # Each node has a machine to itself.
        gpus=max(need.gpus for need in needs),
    )
    return replace(containers[0], resources=total)


def describe_nodes(definition: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """``nodeProperties`` of DescribeJobs."""
    overrides = {entry["targetNodes"]: entry for entry in _property_overrides(request)}
    properties = definition["nodeProperties"]

    def container(node_range: Mapping[str, Any]) -> dict[str, Any]:
        given = overrides.get(node_range["targetNodes"], {}).get("containerOverrides") or {}
        return merge(node_range["container"], given)

    return {
        "numNodes": node_count(definition, request),
        "mainNode": properties["mainNode"],
        "nodeRangeProperties": [
            {**node_range, "container": container(node_range)}
            for node_range in properties["nodeRangeProperties"]
        ],
    }


def _property_overrides(request: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (request.get("nodeOverrides") or {}).get("nodePropertyOverrides") or ()


def _of_node(
    ranges: Iterable[Mapping[str, Any]], count: int, index: int
) -> Mapping[str, Any] | None:
    """Of the ranges with a node the narrowest: one that lies in another overrides it."""
    sizes = [(target_range(entry["targetNodes"], count), entry) for entry in ranges]
    own = [(len(targets), entry) for targets, entry in sizes if index in targets]
    return min(own, key=lambda pair: pair[0])[1] if own else None
