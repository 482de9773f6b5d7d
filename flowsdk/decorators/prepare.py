"""From what a flow's source says to the decorators in effect: Configs, mutators, ``--with``.

Whoever reads a flow – its graph, its parameters, its decorators – prepares it first. Preparing is
repeatable: it starts from the source each time, changes nothing that other flows share, and a flow
that is ready is left alone.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar

from flowsdk.decorators.base import FlowDecorator, StepDecorator
from flowsdk.decorators.draft import Draft, undo
from flowsdk.exception import ConfigError, DecoratorError, FlowException

if TYPE_CHECKING:
    from flowsdk.decorators.user.mutators import FlowMutator

_FLOWSDK = str(Path(__file__).parents[1]) + os.sep

D = TypeVar("D", FlowDecorator, StepDecorator)


@dataclass(frozen=True)
class Prepared:
    """A flow that can be read.

    Attributes:
        decorators: Step → the decorators in effect, the outermost first.
        flow_decorators: Name → the flow's decorators in effect.
        settings: Step → what its decorators add up to, where somebody has asked for that.
    """

    decorators: Mapping[str, Sequence[StepDecorator]]
    flow_decorators: Mapping[str, Sequence[FlowDecorator]]
    settings: dict[str, Any] = field(default_factory=dict, compare=False)


def prepare(flow: type, extra: Sequence[StepDecorator] = ()) -> Prepared:
    """Make a flow class ready to be read, unless it is.

    Configs get their values, mutators their say (first all ``pre_mutate``, then, with the
    decorators from ``--with`` there, all ``mutate``) and expressions in decorators become values.

    Args:
        flow: The flow class.
        extra: Decorators from ``--with``, for every step that has none of the kind.

    Raises:
        DecoratorError: A decorator or mutator is misused, or a mutator fails.
        ConfigError: A Config has no value.
    """
    uses_configs = "flowsdk.configs" in sys.modules  # else no flow can have one
    configs = flow.__dict__.get("_flow_configs")
    if uses_configs and configs is None:
        from flowsdk.configs import resolve_configs

        configs = resolve_configs(flow)
    source, known = flow.__dict__.get("_flow_prepared", (None, {}))
    if "_flow_prepared" not in flow.__dict__ or source is not configs:
        known = {}
        type.__setattr__(flow, "_flow_prepared", (configs, known))
    key = tuple([decorator.spec() for decorator in extra])
    if key not in known:
        known[key] = _Preparation(flow, extra, uses_configs).run()
    return known[key]  # type: ignore[no-any-return]


def flow_decorators(flow: type, name: str) -> Sequence[FlowDecorator]:
    """The decorators of one kind in effect on a flow, e.g. ``schedule``; empty if there are none."""
    return prepare(flow).flow_decorators.get(name, ())


def decorator_modules(flow: type, extra: Sequence[StepDecorator] = ()) -> list[str]:
    """Names of the modules whose decorators act in a flow's tasks, sorted; arguments as above."""
    found = [d for decorators in prepare(flow, extra).decorators.values() for d in decorators]
    return sorted({type(decorator).__module__ for decorator in found})


class _Preparation:
    def __init__(self, flow: type, extra: Sequence[StepDecorator], uses_configs: bool) -> None:
        self._flow = flow
        self._extra = extra
        self._uses_configs = uses_configs
        self._problems: list[DecoratorError | ConfigError] = []
        undo(flow)
        self._draft = Draft(flow)

    def run(self) -> Prepared:
        draft = self._draft
        flow_mutators = [self._begun(mutator) for mutator in _flow_mutators(self._flow)]
        for mutator in flow_mutators:
            self._mutate_flow(mutator, early=True)
        for step in draft.steps:
            self._pre_mutate_step(step, draft.steps[step])
        for step in draft.steps:
            self._pre_mutate_step(step, draft.add_with(step, self._extra))
        for mutator in flow_mutators:
            self._mutate_flow(mutator, early=False)
        for step, decorators in draft.steps.items():
            for decorator in decorators[::-1]:
                if is_mutator(decorator):
                    self._mutate_step(decorator, step, early=False)
        prepared = Prepared(
            {step: self._ordered(step, found) for step, found in draft.steps.items()},
            {
                name: tuple(self._valued(decorator, "Flow") for decorator in found)
                for name, found in draft.flow_decorators.items()
            },
        )
        if self._problems:
            raise _as_one(self._problems)
        return prepared

    def _pre_mutate_step(self, step: str, decorators: Sequence[StepDecorator]) -> None:
        """Let the mutators among ``decorators`` act, the innermost first, and those that they add."""
        todo = [decorator for decorator in reversed(decorators) if is_mutator(decorator)]
        while todo:
            mutator = todo.pop(0)
            present = self._draft.steps[step]
            if not any(mutator is other for other in present):
                continue  # another mutator has removed it
            begun = self._begun(mutator)
            present[next(i for i, other in enumerate(present) if other is mutator)] = begun
            before = {id(decorator) for decorator in present}
            self._mutate_step(begun, step, early=True)
            todo += [d for d in self._draft.steps[step] if is_mutator(d) and id(d) not in before]

    def _mutate_flow(self, mutator: FlowMutator, *, early: bool) -> None:
        from flowsdk.decorators.user.mutable import MutableFlow

        mutable = MutableFlow(self._draft, early=early)
        act = mutator.pre_mutate if early else mutator.mutate
        self._call(lambda: act(mutable), f"@{mutator.name}.{act.__name__}")

    def _mutate_step(self, mutator: Any, step: str, *, early: bool) -> None:
        from flowsdk.decorators.user.mutable import MutableFlow

        flow = MutableFlow(self._draft, early=early)
        act = mutator.pre_mutate if early else mutator.mutate
        self._call(lambda: act(flow.step(step)), f"@{mutator.name}.{act.__name__} (step {step!r})")

    def _begun(self, mutator: Any) -> Any:
        """A mutator of this preparation's own, with the values of its arguments."""
        begin = type(mutator).init
        return self._call(
            lambda: self._with_values(mutator).fresh(), f"@{mutator.name}", begin.__code__
        )

    def _call(self, act: Callable[[], Any], what: str, called: CodeType | None = None) -> Any:
        """Call a user's code; what it raises names it and its line, else that of ``called``."""
        try:
            return act()
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            places = [(frame.filename, frame.lineno) for frame in frames]
            if called is not None:
                places.insert(0, (called.co_filename, called.co_firstlineno))
            own = [place for place in places if not place[0].startswith(_FLOWSDK)]
            where = "{}:{}".format(*(own or places)[-1])
            said = error if isinstance(error, FlowException) else f"{type(error).__name__}: {error}"
            raise DecoratorError(
                f"{what} of flow {self._flow.__name__} ({where}): {said}"
            ) from error

    def _ordered(self, step: str, decorators: Sequence[StepDecorator]) -> tuple[StepDecorator, ...]:
        found = [self._valued(decorator, f"Step {step!r} of flow") for decorator in decorators]
        return tuple(sorted(found, key=lambda decorator: decorator.rank))

    def _valued(self, decorator: D, what: str) -> D:
        """As :meth:`_with_values`; errors name what the decorator is on, and are collected."""
        try:
            return self._with_values(decorator)
        except (DecoratorError, ConfigError) as error:
            if isinstance(error, ConfigError):  # which says its own place
                which, place = f"@{decorator.name}: ", ""
            else:
                which, place = "", f" ({decorator.location})" if decorator.location else ""
            problem = type(error)(f"{what} {self._flow.__name__}{place}: {which}{error}")
            problem.__cause__ = error
            self._problems.append(problem)
            return decorator

    def _with_values(self, decorator: D) -> D:
        """The decorator itself, or one like it with the values of its expressions."""
        if not self._uses_configs:
            return decorator
        from flowsdk.configs import evaluate, has_expressions

        if not has_expressions((getattr(decorator, "args", ()), decorator.attributes)):
            return decorator
        found: D = decorator.with_values(lambda value: evaluate(value, self._flow))
        found.location = decorator.location
        return found


def _as_one(problems: Sequence[DecoratorError | ConfigError]) -> DecoratorError | ConfigError:
    if len(problems) == 1:
        return problems[0]
    text = "\n".join(map(str, problems))
    if all(isinstance(problem, ConfigError) for problem in problems):
        return ConfigError(text)
    return DecoratorError(text)


def is_mutator(decorator: StepDecorator) -> bool:
    """Whether a decorator of a step changes it before it runs."""
    return hasattr(decorator, "pre_mutate")


def _flow_mutators(flow: type) -> list[FlowMutator]:
    """Those of the base classes first; on one class, the one next to it."""
    return [
        mutator
        for base in reversed(flow.__mro__)
        for mutator in base.__dict__.get("_flow_own_mutators", ())
    ]
