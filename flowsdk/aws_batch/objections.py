"""What AWS Batch would refuse of what a step asks for, found before anything is submitted.

Nothing here asks AWS: what is configured and botocore's description of the service must do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flowsdk.aws_batch import fargate
from flowsdk.aws_batch.definition import BatchDefaults, Platform, container_of
from flowsdk.decorators.base import decorators_of
from flowsdk.decorators.settings import StepSettings, step_settings
from flowsdk.exception import BatchError, did_you_mean
from flowsdk.graph import FlowGraph
from flowsdk.lint import Problem

#: What a step's author cannot say with ``container_properties``, and where he can.
_OWN = {
    "command": "it is what runs the step",
    "image": "use @batch(image=…)",
    "jobRoleArn": "use @batch(iam_role=…)",
    "executionRoleArn": "use @batch(execution_role=…)",
    "resourceRequirements": "use @resources",
    "vcpus": "use @resources(cpu=…)",
    "memory": "use @resources(memory=…)",
}
#: How botocore words it, as far as near misses are looked for.
_UNKNOWN = re.compile(
    r'Unknown parameter in (?P<place>.*): "(?P<found>[^"]*)", must be one of: (?P<known>.*)'
)


@dataclass(frozen=True)
class Objection:
    """One thing that AWS Batch would refuse.

    Attributes:
        decorator: Name of the decorator that asks for it.
        text: What was found, what is expected, how to fix it.
    """

    decorator: str
    text: str


def objections(
    settings: StepSettings,
    defaults: BatchDefaults | None = None,
    platform: Platform | None = None,
) -> list[Objection]:
    """All that is wrong with what a step asks for, as far as it can be told.

    Args:
        settings: What the step's decorators ask for.
        defaults: What is configured; None where that is not known, and does not count.
        platform: What the job queue runs on; None for what is configured of it.
    """
    configured = defaults or BatchDefaults()
    if platform is None:
        platform = configured.platform_of(settings)
    found = [
        *_gpu_objections(settings, defaults),
        *_property_objections(settings, configured, platform or "EC2"),
    ]
    if platform == "FARGATE":
        found += _fargate_objections(settings, configured)
    return found


def job_problems(
    flow: type, graph: FlowGraph, defaults: BatchDefaults | None = None
) -> Iterator[Problem]:
    """What AWS Batch would refuse of a flow's steps, at the decorators that ask for it.

    Args:
        flow: The flow class.
        graph: Its graph, which may be ill-formed.
        defaults: As of :func:`objections`.
    """
    for node in graph:
        places = {d.name: d.location for d in decorators_of(flow, node.name) if d.location}
        for objection in objections(step_settings(flow, node.name), defaults):
            # What @resources could say, @batch may have said.
            place = places.get(objection.decorator) or places.get("batch")
            file, _, line = (place or f"{node.file}:{node.line}").rpartition(":")
            text = f"@{objection.decorator} (step {node.name!r}): {objection.text}"
            yield Problem(file, int(line), node.name, objection.decorator, text)


def refuse(
    step: str, settings: StepSettings, defaults: BatchDefaults, platform: Platform | None = None
) -> None:
    """Raise if there are objections; arguments as of :func:`objections`.

    Raises:
        BatchError: With all of them, one a line.
    """
    found = objections(settings, defaults, platform)
    if found:
        raise BatchError("\n".join(f"@{o.decorator} (step {step!r}): {o.text}" for o in found))


def _gpu_objections(settings: StepSettings, defaults: BatchDefaults | None) -> Iterator[Objection]:
    kind = settings.gpu_type
    if kind is None:
        return
    if not settings.gpu:
        yield Objection(
            "resources",
            f"found gpu_type={kind!r} without gpu, expected a number of GPUs too, such as gpu=1.",
        )
    if defaults is None or settings.queue or kind in defaults.gpu_queues:
        return
    known = defaults.gpu_queues
    yield Objection(
        "resources",
        f"found gpu_type={kind!r}, expected one of the types that have a job queue: "
        f"{', '.join(sorted(known)) or 'none has'}.{did_you_mean(kind, known)} Configure gpu_queues, "
        f"or name the queue with @batch(queue=…).",
    )


def _property_objections(
    settings: StepSettings, defaults: BatchDefaults, platform: Platform
) -> Iterator[Objection]:
    given = settings.container_properties
    if not given:
        return
    for name in sorted(set(given) & set(_OWN)):
        yield Objection(
            "batch",
            f"container_properties has {name!r}, expected what no argument says: {_OWN[name]}.",
        )
    container = container_of(settings, defaults, platform)
    for line in _unknown_to_aws(container):
        yield Objection("batch", f"container_properties: {_in_our_words(line)}")


def _unknown_to_aws(container: Mapping[str, Any]) -> list[str]:
    """What does not fit botocore's description of a job definition's container."""
    from botocore.validate import ParamValidator

    report = ParamValidator().validate(container, _container_shape())
    return report.generate_report().splitlines() if report.has_errors() else []


def _in_our_words(line: str) -> str:
    """A line of botocore's; where it lists all names, those that come near are enough."""
    matched = _UNKNOWN.fullmatch(line)
    if matched is None:
        return f"{line}."
    near = did_you_mean(matched["found"], matched["known"].split(", "))
    expected = "a name that AWS Batch knows" if near else f"one of {matched['known']}"
    place = "" if matched["place"] == "input" else f" in {matched['place']}"
    return f"found {matched['found']!r}{place}, expected {expected}.{near}"


@lru_cache(maxsize=1)
def _container_shape() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    # Not through a session: that would read the user's AWS configuration, which may be broken.
    model = ServiceModel(Loader().load_service_model("batch", "service-2"), "batch")
    return model.shape_for("ContainerProperties")


def _fargate_objections(settings: StepSettings, defaults: BatchDefaults) -> Iterator[Objection]:
    if text := fargate.unsold(settings.cpu, settings.memory_mib):
        yield Objection("resources", text)
    where = f"which Fargate has not, and queue {defaults.queue_of(settings)!r} runs on it"
    if settings.gang:
        yield Objection(
            "parallel", f"found a gang, which is a multi-node job, {where}. Choose another queue."
        )
    if settings.gpu:
        yield Objection(
            "resources", f"found gpu={settings.gpu}, {where}. Choose another queue, or no GPU."
        )
    container = container_of(settings, defaults, "FARGATE")
    for name in fargate.inapplicable(container):
        yield Objection("batch", f"found {name}, {where}. Choose another queue, or leave it out.")
    if not container.get("executionRoleArn"):
        yield Objection(
            "batch",
            "found no execution_role, expected one: Fargate starts no container without. Configure "
            "one, or name it with @batch(execution_role=…).",
        )
