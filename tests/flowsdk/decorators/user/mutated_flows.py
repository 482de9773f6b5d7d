"""A flow, and mutators of it that do what a test tells them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowsdk import (
    Config,
    FlowMutator,
    FlowSpec,
    MutableStep,
    Parameter,
    StepMutator,
    retry,
    step,
    user_step_decorator,
)

Act = Callable[[Any], object]


class Acts:
    """Does in each phase what it is given."""

    def init(self, pre: Act | None = None, late: Act | None = None) -> None:
        self.pre, self.late = pre, late

    def pre_mutate(self, mutable: Any) -> None:
        if self.pre:
            self.pre(mutable)

    def mutate(self, mutable: Any) -> None:
        if self.late:
            self.late(mutable)


class StepAct(Acts, StepMutator): ...


class FlowAct(Acts, FlowMutator): ...


@user_step_decorator
def tagging(step_name: str, flow: Any, inputs: Any, attributes: dict[str, Any]) -> Any:
    yield
    flow.tag = attributes


class Base(FlowSpec):
    alpha = Parameter("alpha", default=1)
    settings = Config("settings", default_value={"cpu": 3, "steps": {"start": {"times": 4}}})

    @retry(times=2)
    @step
    def start(self) -> None:
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


def with_flow_mutator(pre: Act | None = None, late: Act | None = None) -> type[FlowSpec]:
    """A flow with a flow mutator, and the steps of another one."""

    @FlowAct(pre, late)
    class Mutated(Base): ...

    return Mutated


class Takes(StepMutator):
    def init(self, *args: Any, **kwargs: Any) -> None:
        self.given = (args, kwargs)

    def pre_mutate(self, mutable_step: MutableStep) -> None:
        args, kwargs = self.given
        mutable_step.add_decorator(retry, deco_kwargs={"times": args[0], **kwargs})
