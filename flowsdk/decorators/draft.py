"""``Draft``: a flow's decorators while mutators still change them.

Steps are functions that several flows may share through inheritance, so nothing is ever changed on
a function: a draft has lists of its own. Parameters have to be attributes of the flow class; what a
draft changes there it can undo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flowsdk.decorators.base import FlowDecorator, StepDecorator
from flowsdk.exception import DecoratorError
from flowsdk.steps import step_functions

_ABSENT: Any = object()


class Removed:
    """Stands in a flow class for an inherited parameter that a mutator has removed from it."""

    def __get__(self, flow: Any, owner: type) -> Any:
        raise AttributeError("The parameter has been removed by a mutator.")


class Draft:
    """What a flow has been given so far.

    Args:
        flow: The flow class.

    Attributes:
        flow: The flow class.
        steps: Step → its decorators, the outermost first.
        flow_decorators: Name → the flow's decorators.
    """

    def __init__(self, flow: type) -> None:
        self.flow = flow
        self.steps: dict[str, list[StepDecorator]] = {
            name: list(function.decorators[::-1]) for name, function in step_functions(flow).items()
        }
        self.flow_decorators = _declared(flow)

    def add_with(self, step: str, extra: Sequence[StepDecorator]) -> list[StepDecorator]:
        """Add what ``--with`` names to a step that has none of the kind; those that are added."""
        kinds = {decorator.name for decorator in self.steps[step]}
        added = [decorator for decorator in extra if decorator.name not in kinds]
        self.steps[step][:0] = added
        return added

    def set_attribute(self, name: str, value: Any) -> None:
        """Give the flow class an attribute; :func:`undo` takes it back."""
        undone: dict[str, Any] = self.flow.__dict__.get("_flow_mutations") or {}
        undone.setdefault(name, self.flow.__dict__.get(name, _ABSENT))
        type.__setattr__(self.flow, "_flow_mutations", undone)
        type.__setattr__(self.flow, name, value)
        if hasattr(type(value), "__set_name__"):
            value.__set_name__(self.flow, name)

    def remove_attribute(self, name: str) -> None:
        """Take an attribute from the flow class, also one that it inherits."""
        self.set_attribute(name, Removed())
        inherited = any(name in base.__dict__ for base in self.flow.__mro__[1:])
        if not inherited:
            type.__delattr__(self.flow, name)

    def has_attribute(self, name: str) -> bool:
        """Whether the class has it, other than through a mutator of a base class."""
        for base in self.flow.__mro__:
            if name in base.__dict__:
                mutated = base.__dict__.get("_flow_mutations") or {}
                by_base = base is not self.flow and mutated.get(name) is _ABSENT
                return not by_base and not isinstance(base.__dict__[name], Removed)
        return False


def _declared(flow: type) -> dict[str, list[FlowDecorator]]:
    """The flow decorators of a class and its bases; one on a class replaces those of its bases."""
    found: dict[str, list[FlowDecorator]] = {}
    owners: dict[str, type] = {}
    rivals: dict[str, type] = {}
    for base in reversed(flow.__mro__):
        for name in dict.fromkeys(d.name for d in base.__dict__.get("_flow_own_decorators", ())):
            own = [d for d in base.__dict__["_flow_own_decorators"] if d.name == name]
            if own[0].allow_multiple:
                own += found.get(name, [])
            elif name in found and not issubclass(base, owners[name]):
                rivals[name] = owners[name]
            else:
                rivals.pop(name, None)
            found[name], owners[name] = own, base
    for name, rival in rivals.items():
        raise DecoratorError(
            f"Flow {flow.__name__} inherits @{name} from both {owners[name].__name__} and "
            f"{rival.__name__}. Say with @{name} on {flow.__name__} which one is meant."
        )
    return found


def undo(flow: type) -> None:
    """Undo what drafts have changed in a flow class."""
    for name, before in (flow.__dict__.get("_flow_mutations") or {}).items():
        if before is not _ABSENT:
            type.__setattr__(flow, name, before)
        elif name in flow.__dict__:
            type.__delattr__(flow, name)
    if "_flow_mutations" in flow.__dict__:
        type.__delattr__(flow, "_flow_mutations")
