from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowsdk import MutableFlow, MutableStep, Parameter, batch, environment, retry, schedule
from flowsdk.decorators.prepare import flow_decorators, prepare
from flowsdk.decorators.settings import flow_schedule, step_settings
from flowsdk.exception import DecoratorError, ReservedAttributeError
from flowsdk.flow import graph_of
from flowsdk.parameters import collect_parameters
from tests.flowsdk.decorators.user.mutated_flows import Act, Base, FlowAct, with_flow_mutator
from tests.flowsdk.flows import run_flow, write_flow


def test_a_flow_mutator_reaches_all_steps() -> None:
    def decorate(flow: MutableFlow) -> None:
        for name, found in flow.steps:
            found.add_decorator(environment, deco_kwargs={"vars": {"STEP": name}})

    flow = with_flow_mutator(late=decorate)
    assert step_settings(flow, "start").environment == {"STEP": "start"}
    assert step_settings(flow, "end").environment == {"STEP": "end"}


def test_a_mutated_flow_leaves_the_flows_that_it_shares_steps_with_alone() -> None:
    def decorate(flow: MutableFlow) -> None:
        flow.start.add_decorator(batch, deco_kwargs={"cpu": 9})
        flow.start.remove_decorator("retry")
        flow.add_parameter("extra", Parameter("extra", default=5))
        flow.remove_parameter("alpha")
        flow.add_decorator(schedule, deco_kwargs={"weekly": True})

    flow = with_flow_mutator(decorate)
    for reader in (flow, Base, flow, Base):
        changed = reader is flow
        assert step_settings(reader, "start").on_batch is changed
        assert step_settings(reader, "start").retry_times == (0 if changed else 2)
        assert list(collect_parameters(reader)) == ["extra" if changed else "alpha"]
        assert (flow_schedule(reader) is not None) is changed
    assert Base.__dict__["start"].decorators == Base.start.decorators  # type: ignore[attr-defined]
    assert len(Base.start.decorators) == 1  # type: ignore[attr-defined]


def test_the_name_of_a_removed_parameter_can_be_that_of_an_artifact() -> None:
    flow = with_flow_mutator(lambda f: f.remove_parameter("alpha"))
    assert not collect_parameters(flow)
    instance = flow(use_cli=False)
    instance.alpha = 3
    assert instance.alpha == 3
    with pytest.raises(ReservedAttributeError, match="it is a Parameter"):
        Base(use_cli=False).alpha = 3  # type: ignore[misc, assignment]


def test_preparing_again_does_not_mutate_twice() -> None:
    calls: list[int] = []

    def decorate(flow: MutableFlow) -> None:
        calls.append(1)
        flow.add_parameter("extra", Parameter("extra", default=5))

    flow = with_flow_mutator(decorate)
    for _ in range(3):
        assert list(collect_parameters(flow)) == ["alpha", "extra"]
        graph_of(flow)
    assert len(calls) == 1
    decorated = schedule(daily=True)(flow)  # a decorator that is applied later is seen
    assert flow_schedule(decorated) is not None
    assert list(collect_parameters(flow)) == ["alpha", "extra"]
    assert len(calls) == 2


def test_a_flow_inherits_the_mutators_of_its_bases() -> None:
    base = with_flow_mutator(lambda f: f.add_parameter("extra", Parameter("extra", default=5)))
    assert "extra" in collect_parameters(base)

    class Derived(base): ...  # type: ignore[valid-type,misc]

    assert list(collect_parameters(Derived)) == ["alpha", "extra"]
    assert list(collect_parameters(base)) == ["alpha", "extra"]


def test_mutators_act_in_the_order_in_which_decorators_are_applied() -> None:
    order: list[str] = []

    @FlowAct(lambda _: order.append("base"))
    class First(Base): ...

    @FlowAct(lambda _: order.append("outer"))
    @FlowAct(lambda _: order.append("inner"))
    class Second(First): ...

    prepare(Second)
    assert order == ["base", "inner", "outer"]


def test_an_added_parameter_is_one_in_steps_and_on_the_command_line(tmp_path: Path) -> None:
    path = write_flow(
        tmp_path,
        """
from flowsdk import FlowMutator

class Adds(FlowMutator):
    def pre_mutate(self, mutable_flow):
        mutable_flow.add_parameter("size", Parameter("size", default=3, help="How many"))

@Adds
class Sized(FlowSpec):
    @step
    def start(self):
        print("size", self.size + 1)
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Sized()
""",
    )
    assert "size 4" in run_flow(path, "run").stdout
    assert "size 11" in run_flow(path, "run", "--size", "10").stdout


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda f: f.add_parameter("alpha", Parameter("alpha")), "has an attribute of that name"),
        (lambda f: f.add_parameter("start", Parameter("s")), "has an attribute of that name"),
        (lambda f: f.add_parameter("other", 3), "expected a Parameter"),
        (lambda f: f.add_decorator("shcedule"), "Did you mean 'schedule'"),
        (lambda f: f.add_decorator(retry), "expected a decorator of flows"),
        (lambda f: f.add_decorator(schedule, [1]), "keyword arguments only"),
        (lambda f: f.add_decorator("schedule:weekly=true", deco_kwargs={"a": 1}), "in one place"),
    ],
)
def test_wrong_changes_of_a_flow_are_refused(act: Act, message: str) -> None:
    with pytest.raises(DecoratorError, match=message):
        prepare(with_flow_mutator(act))


@pytest.mark.parametrize(
    "act",
    [
        lambda f: f.add_parameter("other", Parameter("other")),
        lambda f: f.remove_parameter("alpha"),
        lambda f: f.add_decorator(schedule),
        lambda f: f.remove_decorator("schedule"),
    ],
)
def test_mutate_is_too_late_for_changes_of_the_flow(act: Act) -> None:
    with pytest.raises(DecoratorError, match="too late. Do it in pre_mutate"):
        prepare(with_flow_mutator(late=act))


def test_a_parameter_can_be_overwritten() -> None:
    flow = with_flow_mutator(
        lambda f: f.add_parameter("alpha", Parameter("alpha", default=99), overwrite=True)
    )
    assert collect_parameters(flow)["alpha"].default == 99
    assert collect_parameters(Base)["alpha"].default == 1


def test_flow_decorators_are_shown_and_removed() -> None:
    seen: list[Any] = []

    def look(flow: MutableFlow) -> None:
        seen.extend(flow.decorator_specs)
        assert flow.remove_decorator("schedule")
        assert not flow.remove_decorator("schedule")

    flow = schedule(hourly=True)(with_flow_mutator(look))
    assert flow_schedule(flow) is None
    assert seen[0][:2] == ("schedule", "flowsdk.decorators.schedule.Schedule")
    assert seen[0][3]["hourly"] is True


def test_a_flow_shows_its_parts_as_attributes() -> None:
    def look(flow: MutableFlow) -> None:
        assert isinstance(flow.start, MutableStep)
        assert flow.start.flow.end.name == "end"
        assert flow.alpha.default == 1
        assert flow.settings.cpu == 3
        assert [name for name, _ in flow.parameters] == ["alpha"]
        assert dict(flow.configs) == {"settings": flow.settings}
        with pytest.raises(AttributeError, match="Did you mean 'start'"):
            flow.strat  # noqa: B018

    prepare(with_flow_mutator(look))


def test_a_flow_mutator_on_something_else_is_refused() -> None:
    with pytest.raises(DecoratorError, match="expected a subclass of FlowSpec"):
        FlowAct()(str)


# -- flow decorators and inheritance


def test_a_flow_decorator_replaces_the_one_of_a_base_class() -> None:
    @schedule(hourly=True)
    class One(Base): ...

    @schedule(weekly=True)
    class Two(One): ...

    class Three(One): ...

    assert flow_schedule(Two).cron == "@weekly"  # type: ignore[union-attr]
    assert flow_schedule(Three).cron == "@hourly"  # type: ignore[union-attr]


def test_two_bases_with_the_same_flow_decorator_contradict_each_other() -> None:
    @schedule(hourly=True)
    class One(Base): ...

    @schedule(weekly=True)
    class Two(Base): ...

    class Both(One, Two): ...

    with pytest.raises(DecoratorError, match="inherits @schedule from both One and Two"):
        prepare(Both)
    assert flow_decorators(schedule(daily=True)(Both), "schedule")[0].attributes["daily"]
