"""What decorators of steps and of flows have in common, and what one's own subclass."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from flowsdk.declaring import declared_at
from flowsdk.exception import DecoratorError, did_you_mean
from flowsdk.registry import notify

if TYPE_CHECKING:
    from flowsdk.decorators.running import RunningTask
    from flowsdk.spec import TaskResult

#: Between the attributes of ``--with``; not the commas inside a value.
_NEXT_ATTRIBUTE = re.compile(r",(?=\s*\w+\s*=)|,$")

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)
K = TypeVar("K", bound="Decorator")


class Decorator:
    """A named set of attributes with defaults.

    Args:
        attributes: Overrides of ``defaults``.

    Raises:
        DecoratorError: An attribute is unknown or has a bad value.
    """

    #: What it is called after the ``@``.
    name: ClassVar[str]
    #: Attribute → value if none is given.
    defaults: ClassVar[Mapping[str, Any]] = {}
    #: Whether there may be others, which somebody else knows.
    any_attribute: ClassVar[bool] = False
    #: ``file:line`` of its use in the source, for messages; empty if it comes from elsewhere.
    location: str = ""

    def __init__(self, **attributes: Any) -> None:
        self.location = declared_at()
        waiting = _has_expressions(attributes)
        for attribute in () if self.any_attribute else attributes:
            if attribute not in self.defaults and not (waiting and attribute.startswith("_")):
                raise self.error(
                    f"found attribute {attribute!r}, expected {', '.join(self.defaults) or 'none'}."
                    f"{did_you_mean(attribute, self.defaults)}"
                )
        self.attributes: dict[str, Any] = {**self.defaults, **attributes}
        if not waiting:
            self.check()

    def with_values(self, value: Callable[[Any], Any]) -> Any:
        """Another one like this whose attributes are what ``value`` makes of this one's.

        Of expressions of Configs, the values: before, the attributes have not been checked.
        """
        return type(self)(**value(self.attributes))

    def check(self) -> None:
        """Raise DecoratorError if the attributes make no sense; subclasses override it."""

    def error(self, message: str) -> DecoratorError:
        """An error that names the decorator and its place."""
        place = f" ({self.location})" if self.location else ""
        return DecoratorError(f"@{self.name}{place}: {message}")

    def number(self, attribute: str) -> float | None:
        """The value of an attribute as a number, which may be given as text; None if it is none."""
        value = self.attributes[attribute]
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return value if is_number and math.isfinite(value) else None

    def __repr__(self) -> str:
        given = {k: v for k, v in self.attributes.items() if v != self.defaults.get(k)}
        return f"@{self.name}({', '.join(f'{k}={v!r}' for k, v in given.items())})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return False
        return {**other.__dict__, "location": ""} == {**self.__dict__, "location": ""}

    def __hash__(self) -> int:
        return hash(repr(self))


class StepDecorator(Decorator):
    """A decorator of steps, kept in the step's ``decorators``.

    One that only says how a step is to be launched has attributes and nothing else. One that acts
    where the step runs overrides :meth:`around` or :meth:`finished`.
    """

    #: Whether a step may have several of the kind.
    allow_multiple: ClassVar[bool] = False
    #: A decorator of a lower rank is around those of a higher one, wherever it is written.
    rank: ClassVar[int] = 0

    def around(self, task: RunningTask) -> AbstractContextManager[Any] | None:  # noqa: ARG002
        """What is entered before the step's code and left after it; None for nothing.

        Among decorators of one ``rank``, the one written first is the outermost. What the step raises
        passes through, and a context manager that suppresses it makes the step succeed, with the
        transition that ``task.go_on`` has been given, else the one that the source says.
        """
        return None

    def finished(self, task: RunningTask, result: TaskResult) -> None:
        """Called in the task's process once its artifacts are stored, before the result is.

        Args:
            task: The task.
            result: What is about to be committed, of a success or of a failure.
        """

    def attach(self, function: F) -> F:
        """Add this to a step.

        Raises:
            DecoratorError: The function is not a step, or has such a decorator already.
        """
        if not getattr(function, "is_step", False):
            raise self.error(
                f"found on {getattr(function, '__name__', function)!r}, which is not a step. Put "
                f"@step closest to the function, below @{self.name}."
            )
        decorators: list[StepDecorator] = function.decorators  # type: ignore[attr-defined]
        if not self.allow_multiple and any(other.name == self.name for other in decorators):
            raise self.error(f"found twice on step {function.__name__!r}. Remove one.")
        decorators.append(self)
        return function

    def spec(self) -> str:
        """This decorator as ``--with`` takes it; :func:`parse_spec` reads it back."""
        given = {k: v for k, v in self.attributes.items() if v != self.defaults.get(k)}
        return f"{self.name}:{json.dumps(given, sort_keys=True)}" if given else self.name

    @classmethod
    def decorate(cls, function: Any = None, /, **attributes: Any) -> Any:
        """What ``@name`` and ``@name(…)`` call."""
        if function is not None:
            return cls(**attributes).attach(function)
        return cls(**attributes).attach


class FlowDecorator(Decorator):
    """A decorator of flow classes, kept in the class's ``_flow_own_decorators``."""

    #: Whether a flow may have several of the kind.
    allow_multiple: ClassVar[bool] = False

    def attach(self, flow: C) -> C:
        """Add this to a flow class, and have the class compiled again.

        Raises:
            DecoratorError: It is not a flow, or has such a decorator already.
        """
        decorated: object = flow
        if not isinstance(decorated, type) or not hasattr(flow, "_flow_own_decorators"):
            raise self.error(f"found on {flow!r}, expected a subclass of FlowSpec.")
        own: tuple[FlowDecorator, ...] = flow.__dict__.get("_flow_own_decorators", ())
        if not self.allow_multiple and any(other.name == self.name for other in own):
            raise self.error(f"found twice on flow {flow.__name__}. Remove one.")
        flow._flow_own_decorators = (self, *own)  # the one written first comes first
        flow_has_changed(flow)
        return flow

    @classmethod
    def decorate(cls, flow: Any = None, /, **attributes: Any) -> Any:
        """What ``@name`` and ``@name(…)`` call."""
        if flow is not None:
            return cls(**attributes).attach(flow)
        return cls(**attributes).attach


def flow_has_changed(flow: type) -> None:
    """Have whatever has been read from a flow class read again, and the class compiled again."""
    if "_flow_prepared" in flow.__dict__:
        type.__delattr__(flow, "_flow_prepared")
    notify(flow)


def _has_expressions(value: Any) -> bool:
    configs = sys.modules.get("flowsdk.configs")  # else there can be none
    return configs is not None and configs.has_expressions(value)


def decorators_of(
    flow: type, step: str, extra: Sequence[StepDecorator] = ()
) -> list[StepDecorator]:
    """The decorators in effect on a step, the outermost first.

    Args:
        flow: The flow class.
        step: Name of the step.
        extra: Decorators from ``--with``; a decorator on the step itself wins over one of the kind.

    Raises:
        DecoratorError: The flow has no such step.
    """
    from flowsdk.decorators.prepare import prepare

    found = prepare(flow, extra).decorators
    if step not in found:
        raise DecoratorError(
            f"Flow {flow.__name__} has no step {step!r}.{did_you_mean(step, found)}"
        )
    return list(found[step])


def parse_spec(text: str, known: Mapping[str, type[K]]) -> K:
    """The decorator that ``--with`` names, as ``name`` or ``name:key=value,key=value``.

    Args:
        text: The option's value. Values are JSON where they can be, else text. All of them may be
            one JSON object, as :meth:`StepDecorator.spec` writes it. A number as key means a
            positional argument.
        known: The decorators there are, by name. Of steps, those that users have written are found
            too, by ``module.name``.

    Raises:
        DecoratorError: It is unknown, malformed, or has bad attributes.
    """
    name, _, rest = text.partition(":")
    if name in known:
        return known[name](**_attributes(text, rest))
    from flowsdk.decorators.user.common import find_class

    try:
        kind: Any = find_class(name, known)
    except DecoratorError as error:
        raise DecoratorError(f"--with {text}: {error}") from error
    given = _attributes(text, rest)
    places = sorted((key for key in given if key.isdecimal()), key=int)
    positional = [given.pop(key) for key in places]
    return kind(*positional, **given)  # type: ignore[no-any-return]


def _attributes(text: str, rest: str) -> dict[str, Any]:
    if rest.startswith("{"):
        try:
            return dict(json.loads(rest))
        except ValueError as error:
            raise DecoratorError(f"--with {text}: not JSON ({error}).") from error
    attributes = {}
    for part in filter(None, _NEXT_ATTRIBUTE.split(rest)):
        key, equals, value = part.partition("=")
        if not equals:
            raise DecoratorError(f"--with {text}: found {part!r}, expected key=value.")
        try:
            attributes[key.strip()] = json.loads(value)
        except ValueError:
            attributes[key.strip()] = value
    return attributes
