"""``MutableFlow`` and ``MutableStep``: what mutators see of a flow, and how they change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from flowsdk.decorators.base import Decorator, FlowDecorator, StepDecorator, parse_spec
from flowsdk.decorators.draft import Draft
from flowsdk.decorators.prepare import is_mutator
from flowsdk.decorators.user.common import OwnStepDecorator, find_class, is_called
from flowsdk.exception import DecoratorError, did_you_mean

D = TypeVar("D", FlowDecorator, StepDecorator)
#: Name, full name, positional and keyword arguments of a decorator.
DecoratorSpec = tuple[str, str, list[Any], dict[str, Any]]


class _Mutable:
    """What flows and steps have in common.

    Attributes:
        IGNORE: Leave a decorator that is there already as it is.
        ERROR: Refuse another one.
        OVERRIDE: Put the new one in its place.
    """

    IGNORE = 1
    ERROR = 2
    OVERRIDE = 3

    def __init__(self, draft: Draft, *, early: bool) -> None:
        self._draft = draft
        self._early = early

    def _require_early(self, what: str) -> None:
        if not self._early:
            raise DecoratorError(
                f"{what} in mutate(), where that is too late. Do it in pre_mutate()."
            )

    def _insert(self, present: list[D], new: D, duplicates: int, where: str) -> D | None:
        """Add a decorator as the outermost, or do what ``duplicates`` says; what is in effect new."""
        same = [other for other in present if other.name == new.name]
        own = isinstance(new, OwnStepDecorator)
        if same and (own or not new.allow_multiple):
            if duplicates == self.IGNORE:
                return None
            if duplicates == self.ERROR:
                raise DecoratorError(f"found @{new.name} on {where} already.")
            if duplicates != self.OVERRIDE:
                raise DecoratorError(
                    f"duplicates={duplicates!r}, expected IGNORE, ERROR or OVERRIDE."
                )
            present[:] = [other for other in present if other.name != new.name]
        present.insert(0, new)
        return new


class MutableStep(_Mutable):
    """A step, for a mutator to look at and to change.

    Args:
        draft: The flow.
        name: Name of the step.
        early: Whether this is ``pre_mutate``.
    """

    def __init__(self, draft: Draft, name: str, *, early: bool) -> None:
        super().__init__(draft, early=early)
        self.name = name

    @property
    def flow(self) -> MutableFlow:
        """The flow that the step belongs to."""
        return MutableFlow(self._draft, early=self._early)

    @property
    def decorator_specs(self) -> Iterator[DecoratorSpec]:
        """Name, full name, positional and keyword arguments of each decorator, innermost first."""
        return iter([_spec_of(decorator) for decorator in reversed(self._decorators)])

    @property
    def _decorators(self) -> list[StepDecorator]:
        return self._draft.steps[self.name]

    def has_decorator(self, name: str) -> bool:
        """Whether the step has such a decorator; of a user's, the end of its full name will do."""
        return any(is_called(decorator, name) for decorator in self._decorators)

    def get_decorator_kwargs(self, name: str) -> dict[str, Any] | None:
        """The keyword arguments of the first decorator of that name, or None."""
        return next(iter(self.get_all_decorator_kwargs(name)), None)

    def get_all_decorator_kwargs(self, name: str) -> list[dict[str, Any]]:
        """The keyword arguments of every decorator of that name, innermost first."""
        return [_spec_of(found)[3] for found in self._decorators[::-1] if is_called(found, name)]

    def add_decorator(
        self,
        deco_type: Any,
        deco_args: Sequence[Any] | None = None,
        deco_kwargs: Mapping[str, Any] | None = None,
        duplicates: int = _Mutable.IGNORE,
    ) -> StepDecorator | None:
        """Add a decorator around the others of the step.

        Args:
            deco_type: The decorator, its name, or name and arguments as ``--with`` takes them.
            deco_args: Positional arguments.
            deco_kwargs: Keyword arguments.
            duplicates: What to do if the step has one: ``IGNORE``, ``ERROR`` or ``OVERRIDE``.

        Returns:
            What has been added; None if the step had one.

        Raises:
            DecoratorError: There is no such decorator, its arguments are wrong, or it is a mutator
                and this is ``mutate``.
        """
        new = self._make(deco_type, tuple(deco_args or ()), dict(deco_kwargs or {}))
        if is_mutator(new):
            self._require_early(f"adds mutator @{new.name}")
        return self._insert(self._decorators, new, duplicates, f"step {self.name!r}")

    def remove_decorator(
        self,
        deco_name: str,
        deco_args: Sequence[Any] | None = None,
        deco_kwargs: Mapping[str, Any] | None = None,
    ) -> bool:
        """Remove the decorators of a name.

        Args:
            deco_name: The name.
            deco_args: If given, or ``deco_kwargs``, only those with exactly these arguments.
            deco_kwargs: Likewise, as :attr:`decorator_specs` has them.

        Returns:
            Whether there were any.

        Raises:
            DecoratorError: It is a mutator and this is ``mutate``.
        """
        wanted = _arguments(deco_args, deco_kwargs)
        for found in list(self._decorators):
            if is_called(found, deco_name) and is_mutator(found):
                self._require_early(f"removes mutator @{found.name}")
        return _remove(self._decorators, deco_name, wanted)

    def replace_decorator(
        self, name: str, updates: Mapping[str, Any], reject_if: Sequence[str] | None = None
    ) -> None:
        """Change keyword arguments of a decorator; add it if the step has none.

        Args:
            name: Its name.
            updates: The keyword arguments to change.
            reject_if: Keyword arguments that the decorator must not have.

        Raises:
            DecoratorError: It has one of ``reject_if``.
        """
        given = self.get_decorator_kwargs(name) or {}
        for key in reject_if or ():
            if given.get(key) is not None:
                raise DecoratorError(
                    f"step {self.name!r} has @{name}({key}={given[key]!r}), which does "
                    f"not go together. Remove one of the two."
                )
        self.remove_decorator(name)
        self.add_decorator(name, deco_kwargs={**given, **updates})

    def _make(self, wanted: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> StepDecorator:
        from flowsdk.decorators import STEP_DECORATORS

        if isinstance(wanted, str):
            name, colon, _ = wanted.partition(":")
            if not colon:
                wanted = STEP_DECORATORS.get(name) or find_class(name, STEP_DECORATORS)
            elif args or kwargs:
                raise _given_twice(wanted)
            else:
                return parse_spec(wanted, STEP_DECORATORS)
        kind = getattr(wanted, "__self__", wanted)
        if not (isinstance(kind, type) and issubclass(kind, StepDecorator)):
            raise DecoratorError(f"found {wanted!r}, expected a decorator of steps.")
        if args and not issubclass(kind, OwnStepDecorator):
            raise DecoratorError(f"@{kind.name} takes keyword arguments only, found {args!r}.")
        return kind(*args, **kwargs)


class MutableFlow(_Mutable):
    """A flow, for a mutator to look at and to change.

    Its steps, Parameters and Configs are attributes too: ``mutable_flow.start.add_decorator(…)``.

    Args:
        draft: The flow.
        early: Whether this is ``pre_mutate``.
    """

    @property
    def decorator_specs(self) -> Iterator[DecoratorSpec]:
        """Name, full name, positional and keyword arguments of each of the flow's decorators."""
        groups = self._draft.flow_decorators.values()
        return iter([_spec_of(decorator) for group in groups for decorator in group])

    @property
    def configs(self) -> Iterator[tuple[str, Any]]:
        """Name and value of every Config."""
        from flowsdk.configs import collect_configs

        flow = self._draft.flow
        for attribute, config in collect_configs(flow).items():
            yield config._name, getattr(flow, attribute)

    @property
    def parameters(self) -> Iterator[tuple[str, Any]]:
        """Attribute and declaration of every Parameter."""
        from flowsdk.parameters import Parameter

        flow = self._draft.flow
        for attribute in dir(flow):
            value = getattr(flow, attribute, None)
            if isinstance(value, Parameter):
                yield attribute, value

    @property
    def steps(self) -> Iterator[tuple[str, MutableStep]]:
        """Name of every step, and the step."""
        return iter([(name, self.step(name)) for name in self._draft.steps])

    def step(self, name: str) -> MutableStep:
        """One step."""
        return MutableStep(self._draft, name, early=self._early)

    def add_parameter(self, name: str, value: Any, overwrite: bool = False) -> None:
        """Add a Parameter to the flow.

        Args:
            name: The attribute that holds it.
            value: The Parameter.
            overwrite: Replace what the flow may have of that name.

        Raises:
            DecoratorError: The flow has such an attribute, ``value`` is no Parameter, or this is
                ``mutate``.
        """
        from flowsdk.parameters import Parameter

        self._require_early(f"adds parameter {name!r}")
        if not isinstance(value, Parameter):
            raise DecoratorError(f"parameter {name!r}: found {value!r}, expected a Parameter.")
        if self._draft.has_attribute(name) and not overwrite:
            raise DecoratorError(
                f"parameter {name!r}: flow {self._draft.flow.__name__} has an "
                f"attribute of that name. Choose another name, or pass overwrite=True."
            )
        self._draft.set_attribute(name, value)

    def remove_parameter(self, parameter_name: str) -> bool:
        """Remove a Parameter from the flow.

        Args:
            parameter_name: The Parameter's own name, not the attribute's.

        Returns:
            Whether there was one.

        Raises:
            DecoratorError: This is ``mutate``.
        """
        self._require_early(f"removes parameter {parameter_name!r}")
        for attribute, parameter in list(self.parameters):
            if parameter.name == parameter_name:
                self._draft.remove_attribute(attribute)
                return True
        return False

    def add_decorator(
        self,
        deco_type: Any,
        deco_args: Sequence[Any] | None = None,
        deco_kwargs: Mapping[str, Any] | None = None,
        duplicates: int = _Mutable.IGNORE,
    ) -> None:
        """Add a decorator to the flow; as :meth:`MutableStep.add_decorator`.

        Raises:
            DecoratorError: There is no such decorator, its arguments are wrong, or this is
                ``mutate``.
        """
        self._require_early("adds a decorator of flows")
        new = self._make(deco_type, deco_args, dict(deco_kwargs or {}))
        present = self._draft.flow_decorators.setdefault(new.name, [])
        self._insert(present, new, duplicates, f"flow {self._draft.flow.__name__}")

    def remove_decorator(
        self,
        deco_name: str,
        deco_args: Sequence[Any] | None = None,
        deco_kwargs: Mapping[str, Any] | None = None,
    ) -> bool:
        """Remove decorators of the flow; as :meth:`MutableStep.remove_decorator`.

        Raises:
            DecoratorError: This is ``mutate``.
        """
        self._require_early("removes a decorator of flows")
        present = self._draft.flow_decorators.get(deco_name, [])
        return _remove(present, deco_name, _arguments(deco_args, deco_kwargs))

    def _make(
        self, wanted: Any, args: Sequence[Any] | None, kwargs: dict[str, Any]
    ) -> FlowDecorator:
        from flowsdk.decorators import FLOW_DECORATORS

        if isinstance(wanted, str):
            name, colon, _ = wanted.partition(":")
            if name not in FLOW_DECORATORS:
                raise DecoratorError(
                    f"there is no flow decorator {name!r}.{did_you_mean(name, FLOW_DECORATORS)}"
                )
            if colon:
                if args or kwargs:
                    raise _given_twice(wanted)
                return parse_spec(wanted, FLOW_DECORATORS)
            wanted = FLOW_DECORATORS[name]
        kind = getattr(wanted, "__self__", wanted)
        if not (isinstance(kind, type) and issubclass(kind, FlowDecorator)):
            raise DecoratorError(f"found {wanted!r}, expected a decorator of flows.")
        if args:
            raise DecoratorError(f"@{kind.name} takes keyword arguments only, found {args!r}.")
        return kind(**kwargs)

    def __getattr__(self, name: str) -> Any:
        from flowsdk.configs import Config
        from flowsdk.parameters import Parameter

        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._draft.steps:
            return self.step(name)
        flow = self._draft.flow
        for base in flow.__mro__:
            if isinstance(base.__dict__.get(name), (Config, Parameter)):
                return getattr(flow, name)
        raise AttributeError(
            f"Flow {flow.__name__} has no step, parameter or config {name!r}."
            f"{did_you_mean(name, self._draft.steps)}"
        )


def _spec_of(decorator: Decorator) -> DecoratorSpec:
    if isinstance(decorator, OwnStepDecorator):
        return (decorator.name.rpartition(".")[2], decorator.name, *decorator.get_args_kwargs())
    given = {key: value for key, value in decorator.attributes.items() if value is not None}
    return decorator.name, f"{type(decorator).__module__}.{type(decorator).__name__}", [], given


def _arguments(
    args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> tuple[list[Any], dict[str, Any]] | None:
    """Arguments to compare with; None if any will do."""
    return None if args is None and kwargs is None else (list(args or ()), dict(kwargs or {}))


def _remove(present: list[D], name: str, wanted: tuple[list[Any], dict[str, Any]] | None) -> bool:
    def goes(found: Decorator) -> bool:
        return is_called(found, name) and wanted in (None, _spec_of(found)[2:])

    kept = [found for found in present if not goes(found)]
    removed = len(kept) < len(present)
    present[:] = kept
    return removed


def _given_twice(spec: str) -> DecoratorError:
    return DecoratorError(
        f"{spec!r} has arguments already, and others are given. Give them in one place."
    )
