"""``@step``: what makes a method a step of a flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from flowsdk.exception import DecoratorError

F = TypeVar("F", bound=Callable[..., Any])


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
        DecoratorError: What is decorated is not a function.
    """

    def mark(decorated: Any) -> Any:
        if not callable(decorated) or isinstance(decorated, type):
            raise DecoratorError(
                f"@step decorates {decorated!r}, expected a method of a flow. Put @step directly "
                f"above 'def'."
            )
        decorated.is_step = True
        decorated.is_start_step = start
        decorated.is_end_step = end
        decorated.node_info = dict(node_info or {})
        decorated.decorators = []
        return decorated

    return mark if function is None else mark(function)
