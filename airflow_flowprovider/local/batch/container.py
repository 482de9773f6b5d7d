"""The container of a job: its definition's, with the overrides of SubmitJob applied."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PLACEHOLDER = re.compile(r"Ref::([\w-]+)")


@dataclass(frozen=True)
class Resources:
    """What a container reserves."""

    vcpus: float
    memory_mib: int
    gpus: int


@dataclass(frozen=True)
class Container:
    """What is to run."""

    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    resources: Resources
    parameters: Mapping[str, str]
    properties: Mapping[str, Any]
    """The container properties after the overrides, as AWS describes them."""

    def describe(self) -> dict[str, Any]:
        """``container`` of DescribeJobs, without what a placement adds."""
        return {
            "volumes": [],
            "mountPoints": [],
            "ulimits": [],
            "secrets": [],
            "networkInterfaces": [],
            **self.properties,
        }


def merge(definition: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Container properties with ``containerOverrides`` applied.

    Environment and resources are merged by name and by type; a command replaces the command.
    ``vcpus`` and ``memory``, deprecated, override nothing but themselves, as on AWS.
    """
    merged = {**definition}
    for name, key in (("environment", "name"), ("resourceRequirements", "type")):
        entries = {
            entry[key]: entry
            for source in (definition, overrides)
            for entry in source.get(name) or []
        }
        merged[name] = list(entries.values())
    for name in ("command", "vcpus", "memory"):
        if overrides.get(name):
            merged[name] = overrides[name]
    return merged


def reserve(properties: Mapping[str, Any]) -> dict[str, str | None]:
    """The reserved VCPU, MEMORY and GPU as they are written; None for what is missing."""
    found: dict[str, Any] = {
        "VCPU": properties.get("vcpus"),
        "MEMORY": properties.get("memory"),
        "GPU": None,
    }
    found.update(
        {entry["type"]: entry["value"] for entry in properties.get("resourceRequirements") or []}
    )
    return {name: None if value is None else str(value) for name, value in found.items()}


def parameters_of(definition: Mapping[str, Any], request: Mapping[str, Any]) -> Mapping[str, str]:
    """What takes the place of ``Ref::name`` in commands."""
    return {**(definition.get("parameters") or {}), **(request.get("parameters") or {})}


def resolve(definition: Mapping[str, Any], request: Mapping[str, Any]) -> Container:
    """The container of a job, from a definition and a SubmitJob request that were found valid."""
    return resolve_properties(
        definition["containerProperties"],
        request.get("containerOverrides") or {},
        parameters_of(definition, request),
    )


def resolve_properties(
    defined: Mapping[str, Any], overrides: Mapping[str, Any], parameters: Mapping[str, str]
) -> Container:
    """A container, from its properties in a definition and what SubmitJob overrides of them."""
    properties = merge(defined, overrides)
    # A placeholder without a parameter stays as it is.
    properties["command"] = [
        _PLACEHOLDER.sub(lambda found: parameters.get(found[1], found[0]), part)
        for part in properties.get("command") or []
    ]
    reserved = reserve(properties)
    return Container(
        image=properties["image"],
        command=tuple(properties["command"]),
        environment={entry["name"]: entry.get("value", "") for entry in properties["environment"]},
        resources=Resources(
            vcpus=float(reserved["VCPU"] or 0),
            memory_mib=int(reserved["MEMORY"] or 0),
            gpus=int(reserved["GPU"] or 0),
        ),
        parameters=parameters,
        properties=properties,
    )
