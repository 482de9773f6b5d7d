"""``UserStepDecorator`` and ``@user_step_decorator``: one's own code around a step's."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from flowsdk.decorators.user.common import OwnStepDecorator
from flowsdk.exception import DecoratorError, Interrupted

if TYPE_CHECKING:
    from flowsdk.decorators.running import RunningTask
    from flowsdk.flow import FlowSpec
    from flowsdk.runtime.inputs import Inputs

#: Yielded by a ``@user_step_decorator`` to skip the step.
USER_SKIP_STEP: dict[str, Any] = {}


class UserStepDecorator(OwnStepDecorator):
    """Derive from this for a decorator with code before and after a step.

    Use it as ``@MyDecorator`` or, if it has an ``init``, ``@MyDecorator(key=value)``. What it wraps
    is the step and the decorators of this kind that are written below it.
    """

    _skip_step: bool | dict[str, Any] = False

    def pre_step(
        self, step_name: str, flow: FlowSpec, inputs: Inputs | None = None
    ) -> Callable[..., Any] | None:
        """Called before the step.

        Args:
            step_name: Name of the step.
            flow: The ``self`` of the step.
            inputs: Of a join; None for other steps.

        Returns:
            None, or a function to run in place of what is wrapped. It is called as the step is, with
            ``flow`` and, of a join, ``inputs``, and returns None if it calls ``flow.next`` itself,
            True for the step's own transition, or a dict with keywords of ``self.next``.
        """

    def post_step(
        self,
        step_name: str,  # noqa: ARG002  # for those that override it
        flow: FlowSpec,  # noqa: ARG002
        exception: Exception | None = None,
    ) -> Exception | tuple[Exception | None, dict[str, Any] | None] | None:
        """Called after the step, before its artifacts are stored.

        Args:
            step_name: Name of the step.
            flow: The ``self`` of the step, to add or to change artifacts.
            exception: What the step has raised, if it has.

        Returns:
            The exception that the step ends with, None to make it succeed. Or that and a dict with
            keywords of ``self.next`` that replace the step's own; an empty one means the transition
            as the source says it. A step that has been made to succeed goes there anyway.
        """
        return exception

    @property
    def skip_step(self) -> bool | dict[str, Any]:
        """Whether what is wrapped is skipped; ``pre_step`` may set it.

        A dict means yes, and has keywords of ``self.next`` that replace the step's own.
        """
        return self._skip_step

    @skip_step.setter
    def skip_step(self, value: bool | dict[str, Any]) -> None:
        self._skip_step = value

    def around(self, task: RunningTask) -> AbstractContextManager[Any] | None:
        """Run ``pre_step`` and ``post_step``, unless an outer decorator has taken the step's place."""
        if task.lost is not None or task.skip or task.code is not None:
            return None
        return self._wrapping(task)

    @contextmanager
    def _wrapping(self, task: RunningTask) -> Iterator[None]:
        acting, step, error = self.fresh(), task.spec.step, None
        task.code = acting.pre_step(step, task.flow, task.inputs)
        if task.code is not None and not callable(task.code):
            raise self.error(f"pre_step returned {task.code!r}, expected None or a function.")
        task.skip = bool(acting.skip_step)
        try:
            yield
        except Exception as raised:  # noqa: BLE001  # whatever the step raises is for post_step
            error = raised
        outcome, how = self._read(acting.post_step(step, task.flow, error))
        if isinstance(error, Interrupted):
            raise error  # the step has not ended, its host has
        if outcome is not None:
            raise outcome
        if how is None and isinstance(acting.skip_step, dict):
            how = acting.skip_step
        if how is not None:
            task.go_on(**how)

    def _read(self, returned: Any) -> tuple[BaseException | None, dict[str, Any] | None]:
        if returned is None or isinstance(returned, BaseException):
            return returned, None
        if isinstance(returned, tuple) and len(returned) == 2:
            error, how = returned
            if (error is None or isinstance(error, BaseException)) and (
                how is None or isinstance(how, dict)
            ):
                return error, how
        raise self.error(
            f"found {returned!r} after the step, expected None, an exception, or a tuple of an "
            f"exception or None and a dict or None."
        )


class _GeneratorDecorator(UserStepDecorator):
    """What ``@user_step_decorator`` makes of a generator function."""

    _function: ClassVar[Callable[..., Generator[Any, None, Any]]]
    _takes_attributes: ClassVar[bool]
    _own_defaults: ClassVar[Mapping[str, Any]]

    def pre_step(
        self, step_name: str, flow: FlowSpec, inputs: Inputs | None = None
    ) -> Callable[..., Any] | None:
        """Run the generator up to its ``yield``."""
        more = ({**self._own_defaults, **self.attributes},) if self._takes_attributes else ()
        self._generator = type(self)._function(step_name, flow, inputs, *more)
        try:
            yielded = next(self._generator)
        except StopIteration:
            self.skip_step = True  # a generator without a yield leaves no place for the step
            return None
        if isinstance(yielded, dict):
            self.skip_step = yielded or True
            return None
        if yielded is not None and not callable(yielded):
            raise self.error(
                f"yielded {yielded!r}, expected nothing, a function to run in place of the step, or a "
                f"dict (USER_SKIP_STEP) to skip it."
            )
        return yielded  # type: ignore[no-any-return]

    def post_step(
        self,
        step_name: str,  # noqa: ARG002  # the generator has it already
        flow: FlowSpec,  # noqa: ARG002
        exception: Exception | None = None,
    ) -> Any:
        """Run the rest of it, which sees the step's exception at its ``yield``."""
        if inspect.getgeneratorstate(self._generator) == inspect.GEN_CLOSED:
            return exception  # it has ended before the step
        try:
            if exception is None:
                next(self._generator)
            else:
                self._generator.throw(exception)
        except StopIteration as end:
            return end.value
        except Exception as error:  # noqa: BLE001  # the user's own, or the step's passed on
            return error
        self._generator.close()
        return self.error("yielded twice. A step runs once: let it yield at most once.")

    @classmethod
    def _takes_arguments(cls) -> bool:
        return cls._takes_attributes


def user_step_decorator(
    function: Callable[..., Generator[Any, None, Any]] | None = None, **defaults: Any
) -> Any:
    """Make a step decorator of a generator function; the step runs at its ``yield``.

    ::

        @user_step_decorator
        def timed(step_name, flow, inputs, attributes):
            started = time.time()
            yield  # here the step runs
            flow.seconds = time.time() - started

    Use it as ``@timed``, or ``@timed(key=value)`` if it takes ``attributes``. It may

    - assign artifacts to ``flow``;
    - catch what the step raises at the ``yield``: if it raises nothing itself, the step succeeds and
      goes where its source says;
    - yield ``USER_SKIP_STEP`` to skip the step, or a dict with keywords of ``self.next``, e.g.
      ``{"foreach": "fewer"}``; not to yield at all skips it too;
    - yield a function to run in its place, as :meth:`UserStepDecorator.pre_step` describes.

    Args:
        function: Takes the step's name, the flow object, the inputs of a join (else None) and, if
            it wants them, the decorator's keyword arguments as a dict.
        defaults: Of the decorator's keyword arguments: ``@user_step_decorator(limit=60)``.

    Raises:
        DecoratorError: It is no generator function of 3 or 4 arguments, or one of 3 with defaults.
    """
    if function is None:
        return lambda wrapped: user_step_decorator(wrapped, **defaults)
    where = getattr(function, "__code__", None)
    place = f" ({where.co_filename}:{where.co_firstlineno})" if where else ""
    if not inspect.isgeneratorfunction(function):
        raise DecoratorError(
            f"@user_step_decorator{place}: found {function!r}, expected a generator function. Put a "
            f"yield where the step is to run."
        )
    count = len(inspect.signature(function).parameters)
    if count != 4 and (count != 3 or defaults):
        raise DecoratorError(
            f"@user_step_decorator{place}: found {count} arguments, expected step_name, flow, inputs "
            f"and, for arguments of the decorator, attributes."
        )
    members = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__,
        "_function": staticmethod(function),
        "_takes_attributes": count == 4,
        "_own_defaults": defaults,
    }
    return types.new_class(
        function.__name__, (_GeneratorDecorator,), exec_body=lambda body: body.update(members)
    )
