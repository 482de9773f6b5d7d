"""``@step``: what makes a method a step of a flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, TypeVar, overload

from flowsdk.exception import DecoratorError

F = TypeVar("F", bound=Callable[..., Any])

# As in inspect.CO_*, which is not worth importing here: calling such functions runs nothing.
_GENERATOR = 0x20 | 0x200
_COROUTINE = 0x80


@overload
def step(function: F) -> F: ...
@overload
def step(
    *, start: bool = False, end: bool = False, node_info: Mapping[str, Any] | None = None
) -> Callable[[F], F]: ...


def step(
    function: Any = None,
    *,
    start: bool = False,
    end: bool = False,
    node_info: Mapping[str, Any] | None = None,
) -> Any:
    """Mark a method of a flow as a step; put it closest to the function, below other decorators.

    Args:
        function: The method, where it is used without parentheses.
        start: The flow begins here, whatever the step is called.
        end: The flow ends here, whatever the step is called.
        node_info: Anything to be kept with the step in the graph.

    Raises:
        DecoratorError: What is decorated is not a plain function, or is a step already.
    """

    def mark(decorated: Any) -> Any:
        _require_plain_function(decorated)
        decorated.is_step = True
        decorated.name = decorated.__name__  # of what iterating over a flow gives
        decorated.is_start_step = start
        decorated.is_end_step = end
        decorated.node_info = dict(node_info or {})
        decorated.decorators = []
        return decorated

    return mark if function is None else mark(function)


def step_functions(flow: type) -> dict[str, Any]:
    """Step functions by name: own ones and inherited ones, in the order of their definition."""
    found: dict[str, Any] = {}
    for base in reversed(flow.__mro__):
        for name, value in vars(base).items():
            if getattr(value, "is_step", False) is True:
                found[name] = value
            else:
                found.pop(name, None)
    return found


def _require_plain_function(decorated: Any) -> None:
    if not isinstance(decorated, FunctionType):
        raise DecoratorError(
            f"@step decorates {decorated!r}, expected a method of a flow. Put @step directly above "
            f"'def'."
        )
    code = decorated.__code__
    where = f"{code.co_filename}:{code.co_firstlineno}"
    if getattr(decorated, "is_step", False):
        raise DecoratorError(
            f"@step decorates {decorated.__name__!r} twice ({where}). Keep the one closest to the "
            f"function."
        )
    if code.co_flags & (_GENERATOR | _COROUTINE):
        kind = "a generator" if code.co_flags & _GENERATOR else "an async function"
        raise DecoratorError(
            f"@step decorates {decorated.__name__!r} ({where}), found {kind}, expected a plain "
            f"function. Its body would never run; call it from a step that is one."
        )
