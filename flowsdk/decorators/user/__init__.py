"""Decorators of one's own: what wraps a step, and what changes a flow before it runs."""

from __future__ import annotations

from flowsdk.decorators.user.mutable import MutableFlow, MutableStep
from flowsdk.decorators.user.mutators import FlowMutator, StepMutator
from flowsdk.decorators.user.wrappers import (
    USER_SKIP_STEP,
    UserStepDecorator,
    user_step_decorator,
)

__all__ = [
    "USER_SKIP_STEP",
    "FlowMutator",
    "MutableFlow",
    "MutableStep",
    "StepMutator",
    "UserStepDecorator",
    "user_step_decorator",
]
