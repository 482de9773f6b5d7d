"""Decorators of steps and flows, one module per concern."""

from __future__ import annotations

from flowsdk.decorators.base import FlowDecorator, StepDecorator, parse_spec
from flowsdk.decorators.batch import Batch, batch
from flowsdk.decorators.environment import Environment, environment
from flowsdk.decorators.resources import Resources, resources
from flowsdk.decorators.retry import Retry, retry
from flowsdk.decorators.schedule import schedule
from flowsdk.decorators.timeout import Timeout, timeout

#: What ``--with`` can name.
STEP_DECORATORS: dict[str, type[StepDecorator]] = {
    kind.name: kind for kind in (Batch, Environment, Resources, Retry, Timeout)
}

__all__ = [
    "STEP_DECORATORS",
    "FlowDecorator",
    "StepDecorator",
    "batch",
    "environment",
    "parse_spec",
    "resources",
    "retry",
    "schedule",
    "timeout",
]
