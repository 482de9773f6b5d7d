"""``StepMutator`` and ``FlowMutator``: decorators that change a flow before it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowsdk.declaring import declared_at
from flowsdk.decorators.base import flow_has_changed
from flowsdk.decorators.user.common import BareOrCalled, OwnStepDecorator
from flowsdk.exception import DecoratorError

if TYPE_CHECKING:
    from flowsdk.decorators.user.mutable import MutableFlow, MutableStep


class StepMutator(OwnStepDecorator):
    """Derive from this for a decorator that changes its step: adds decorators, or removes some.

    It sees the values of Configs. Use it as ``@MyMutator`` or, if it has an ``init``,
    ``@MyMutator(1, key=value)``.
    """

    _takes_positional = True

    def pre_mutate(self, mutable_step: MutableStep) -> None:
        """Called first, when the values of Configs are known; may also change the flow."""

    def mutate(self, mutable_step: MutableStep) -> None:
        """Called when all is known, decorators from ``--with`` included."""


class _OfFlows(BareOrCalled):
    def _decorates(cls, found: Any) -> bool:  # noqa: N805  # a metaclass
        return isinstance(found, type) and hasattr(found, "_flow_own_decorators")


class FlowMutator(metaclass=_OfFlows):
    """Derive from this for a decorator that changes a flow: its parameters, decorators and steps.

    It sees the values of Configs. Use it as ``@MyMutator`` or, if it has an ``init``,
    ``@MyMutator(1, key=value)`` above the class. Flows that derive from the class have it too.

    Args:
        args: What ``init`` takes.
        kwargs: What ``init`` takes.

    Raises:
        DecoratorError: It takes no arguments.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        #: ``file:line`` of its use in the source, for messages.
        self.location = declared_at()
        if (args or kwargs) and type(self).init is FlowMutator.init:
            raise DecoratorError(
                f"@{self.name} ({self.location}): found arguments, and it takes none. Implement "
                f"init(self, …) in it."
            )
        self.args = args
        self.attributes = kwargs

    def __call__(self, flow: Any) -> Any:
        """Attach this to a flow class, which is returned."""
        if not type(self)._decorates(flow):
            raise DecoratorError(
                f"@{self.name} ({self.location}): found on {flow!r}, expected a subclass of FlowSpec."
            )
        own = flow.__dict__.get("_flow_own_mutators", ())
        flow._flow_own_mutators = (*own, self)  # the one next to the class acts first
        flow_has_changed(flow)
        return flow

    @property
    def name(self) -> str:
        """``module.Class``."""
        return f"{type(self).__module__}.{type(self).__qualname__}"

    def init(self, *args: Any, **kwargs: Any) -> None:
        """Take the arguments; override it to have any. Called once before each use."""

    def pre_mutate(self, mutable_flow: MutableFlow) -> None:
        """Called first, when the values of Configs are known."""

    def mutate(self, mutable_flow: MutableFlow) -> None:
        """Called when all is known; may change steps, no longer parameters or flow decorators."""

    def fresh(self) -> Any:
        """Another one like this that has nothing from earlier uses, initialized."""
        other = type(self)(*self.args, **self.attributes)
        other.init(*other.args, **other.attributes)
        return other

    def with_values(self, value: Callable[[Any], Any]) -> Any:
        """Another one whose arguments are what ``value`` makes of this one's."""
        return type(self)(*value(self.args), **value(self.attributes))
