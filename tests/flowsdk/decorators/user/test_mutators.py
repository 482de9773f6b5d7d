from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowsdk import (
    Config,
    FlowMutator,
    FlowSpec,
    MutableFlow,
    MutableStep,
    Parameter,
    StepMutator,
    batch,
    config_expr,
    environment,
    resources,
    retry,
    schedule,
    step,
    user_step_decorator,
)
from flowsdk.decorators.base import decorators_of
from flowsdk.decorators.prepare import flow_decorators, prepare
from flowsdk.decorators.settings import flow_schedule, step_settings
from flowsdk.exception import DecoratorError, ReservedAttributeError
from flowsdk.flow import graph_of
from flowsdk.parameters import collect_parameters
from tests.flowsdk.flows import run_flow, write_flow
from tests.flowsdk.running import run

Act = Callable[[Any], object]


class StepAct(StepMutator):
    """Does in each phase what it is given."""

    def init(self, pre: Act | None = None, late: Act | None = None) -> None:
        self.pre, self.late = pre, late

    def pre_mutate(self, mutable_step: MutableStep) -> None:
        if self.pre:
            self.pre(mutable_step)

    def mutate(self, mutable_step: MutableStep) -> None:
        if self.late:
            self.late(mutable_step)


class FlowAct(FlowMutator):
    """Does in each phase what it is given."""

    def init(self, pre: Act | None = None, late: Act | None = None) -> None:
        self.pre, self.late = pre, late

    def pre_mutate(self, mutable_flow: MutableFlow) -> None:
        if self.pre:
            self.pre(mutable_flow)

    def mutate(self, mutable_flow: MutableFlow) -> None:
        if self.late:
            self.late(mutable_flow)


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


def mutated(pre: Act | None = None, late: Act | None = None) -> type[FlowSpec]:
    """A flow with a step mutator on ``start``."""

    class Mutated(Base):
        @StepAct(pre, late)
        @retry(times=2)
        @step
        def start(self) -> None:
            self.next(self.end)

    return Mutated


def with_flow_mutator(pre: Act | None = None, late: Act | None = None) -> type[FlowSpec]:
    """A flow with a flow mutator, and the steps of another one."""

    @FlowAct(pre, late)
    class Mutated(Base): ...

    return Mutated


# -- decorators of steps


@pytest.mark.parametrize("phase", ["pre", "late"])
@pytest.mark.parametrize(
    "add",
    [
        lambda s: s.add_decorator(environment, deco_kwargs={"vars": {"foo": 42}}),
        lambda s: s.add_decorator("environment", deco_kwargs={"vars": {"foo": 42}}),
        lambda s: s.add_decorator('environment:vars={"foo": 42}'),
    ],
)
def test_the_three_ways_to_add_a_decorator_are_one(phase: str, add: Act) -> None:
    assert step_settings(mutated(**{phase: add}), "start").environment == {"foo": "42"}


def test_a_users_decorator_can_be_added_by_itself_and_by_name(tmp_path: Path) -> None:
    for kind in (tagging, "tagging", f"{__name__}.tagging"):
        flow = mutated(lambda s, kind=kind: s.add_decorator(kind, deco_kwargs={"a": 1}))  # type: ignore[misc]
        assert run(flow, tmp_path).value("end/0", "tag") == {"a": 1}


@pytest.mark.parametrize(
    ("duplicates", "times"), [(MutableStep.IGNORE, 2), (MutableStep.OVERRIDE, 7)]
)
def test_duplicates_says_which_of_two_counts(duplicates: int, times: int) -> None:
    def add(s: MutableStep) -> None:
        added = s.add_decorator("retry", deco_kwargs={"times": 7}, duplicates=duplicates)
        assert (added is None) == (duplicates == MutableStep.IGNORE)

    assert step_settings(mutated(add), "start").retry_times == times


def test_duplicates_can_be_an_error() -> None:
    flow = mutated(lambda s: s.add_decorator(retry, duplicates=MutableStep.ERROR))
    with pytest.raises(DecoratorError, match="found @retry on step 'start' already"):
        prepare(flow)


def test_a_step_shows_its_decorators() -> None:
    seen: list[Any] = []

    def look(s: MutableStep) -> None:
        s.add_decorator(tagging, deco_kwargs={"a": 1})
        seen.extend(s.decorator_specs)
        assert s.has_decorator("retry")
        assert s.has_decorator("tagging")
        assert not s.has_decorator("batch")
        assert s.get_decorator_kwargs("retry") == {"times": 2, "minutes_between_retries": 2}
        assert s.get_decorator_kwargs("batch") is None
        assert s.get_all_decorator_kwargs("tagging") == [{"a": 1}]

    prepare(mutated(look))
    assert seen[2] == ("tagging", f"{__name__}.tagging", [], {"a": 1})
    assert seen[0][:3] == ("retry", "flowsdk.decorators.retry.Retry", [])


def test_decorators_can_be_removed_by_name_or_with_their_arguments() -> None:
    def remove(s: MutableStep) -> None:
        assert not s.remove_decorator("batch")
        assert not s.remove_decorator("retry", deco_kwargs={"times": 3})
        name, _, args, kwargs = next(d for d in s.decorator_specs if d[0] == "retry")
        assert s.remove_decorator(name, args, kwargs)
        assert not s.has_decorator("retry")

    assert step_settings(mutated(remove), "start").retry_times == 0


def test_arguments_of_a_decorator_can_be_changed() -> None:
    def change(s: MutableStep) -> None:
        s.replace_decorator("retry", {"minutes_between_retries": 9})
        s.replace_decorator("resources", {"cpu": 5})
        with pytest.raises(DecoratorError, match="does not go together"):
            s.replace_decorator("retry", {}, reject_if=["times"])

    settings = step_settings(mutated(change), "start")
    assert (settings.retry_times, settings.retry_delay_minutes, settings.cpu) == (2, 9, 5)


class Takes(StepMutator):
    def init(self, *args: Any, **kwargs: Any) -> None:
        self.given = (args, kwargs)

    def pre_mutate(self, mutable_step: MutableStep) -> None:
        args, kwargs = self.given
        mutable_step.add_decorator(retry, deco_kwargs={"times": args[0], **kwargs})


class Plain(FlowSpec):
    @Takes(5, minutes_between_retries=1)
    @step
    def start(self) -> None:
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


def test_a_mutator_takes_what_its_init_takes() -> None:
    settings = step_settings(Plain, "start")
    assert (settings.retry_times, settings.retry_delay_minutes) == (5, 1)


def test_with_can_name_a_mutator(tmp_path: Path) -> None:
    ran = run(Plain, tmp_path, with_=["test_mutators.Takes:0=0,minutes_between_retries=0"])
    assert ran.succeeded


def test_a_mutator_without_init_takes_no_arguments() -> None:
    class Bare(StepMutator): ...

    class BareFlow(FlowMutator): ...

    for kind in (Bare, BareFlow):
        with pytest.raises(DecoratorError, match="takes none"):
            kind(1)


def test_mutate_sees_the_decorators_of_with_and_pre_mutate_does_not(tmp_path: Path) -> None:
    seen: dict[str, bool] = {}
    flow = mutated(
        lambda s: seen.setdefault("pre", s.has_decorator("environment")),
        lambda s: seen.setdefault("late", s.has_decorator("environment")),
    )
    prepare(flow, [environment.__self__(vars={"a": 1})])  # type: ignore[attr-defined]
    assert seen == {"pre": False, "late": True}


def test_a_mutator_may_add_mutators_only_in_pre_mutate() -> None:
    early = mutated(lambda s: s.add_decorator(Takes, [6], duplicates=MutableStep.OVERRIDE))
    assert [d.name for d in decorators_of(early, "start")].count("retry") == 1
    with pytest.raises(DecoratorError, match="too late. Do it in pre_mutate"):
        prepare(mutated(late=lambda s: s.add_decorator(Takes, [6])))
    with pytest.raises(DecoratorError, match="removes mutator"):
        prepare(mutated(late=lambda s: s.remove_decorator("StepAct")))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.add_decorator("retrry"), "Did you mean|no step decorator 'retrry'"),
        (lambda s: s.add_decorator("retry:times=1", deco_kwargs={"times": 2}), "in one place"),
        (lambda s: s.add_decorator(schedule), "expected a decorator of steps"),
        (lambda s: s.add_decorator(retry, [1]), "keyword arguments only"),
        (lambda s: s.add_decorator("retry", deco_kwargs={"tmies": 2}), "Did you mean 'times'"),
        (lambda s: 1 / 0, r"test_mutators.py:\d+\): ZeroDivisionError"),
    ],
)
def test_what_a_mutator_does_wrong_names_it_or_its_line(act: Act, message: str) -> None:
    with pytest.raises(DecoratorError, match=message):
        prepare(mutated(act))


# -- flows


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


def test_a_mutator_of_a_step_sees_what_those_below_it_have_added() -> None:
    class NotesBelow(StepMutator):
        def pre_mutate(self, mutable_step: MutableStep) -> None:
            self._extend(mutable_step, "PRE")

        def mutate(self, mutable_step: MutableStep) -> None:
            self._extend(mutable_step, "MUTATE")

        def _extend(self, mutable_step: MutableStep, name: str) -> None:
            below = mutable_step.get_decorator_kwargs("environment") or {"vars": {}}
            known = {**below["vars"], name: below["vars"].get("ADDED", "nothing")}
            mutable_step.add_decorator(
                environment, deco_kwargs={"vars": known}, duplicates=mutable_step.OVERRIDE
            )

    class Adds(StepMutator):
        def pre_mutate(self, mutable_step: MutableStep) -> None:
            mutable_step.add_decorator(environment, deco_kwargs={"vars": {"ADDED": "early"}})

        def mutate(self, mutable_step: MutableStep) -> None:
            kwargs = {"vars": {**(mutable_step.get_decorator_kwargs("environment") or {})["vars"]}}
            kwargs["vars"]["ADDED"] = "late"
            mutable_step.add_decorator(
                environment, deco_kwargs=kwargs, duplicates=mutable_step.OVERRIDE
            )

    class Stacked(FlowSpec):
        @NotesBelow
        @Adds
        @step
        def start(self) -> None:
            self.next(self.end)

        @step
        def end(self) -> None: ...

    (found,) = [d for d in prepare(Stacked).decorators["start"] if d.name == "environment"]
    assert found.attributes["vars"] == {"ADDED": "late", "PRE": "early", "MUTATE": "late"}


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


# -- Configs


def test_mutators_decide_by_configs() -> None:
    def decorate(flow: MutableFlow) -> None:
        for name, config in next(flow.configs)[1].steps.items():
            getattr(flow, name).add_decorator(
                retry, deco_kwargs=config.to_dict(), duplicates=MutableFlow.OVERRIDE
            )

    assert step_settings(with_flow_mutator(decorate), "start").retry_times == 4


def test_expressions_become_values_everywhere() -> None:
    @FlowAct(config_expr("act"))
    class Uses(Base):
        settings = Config("settings", default_value={"cpu": 3, "who": "me"})

        @resources(cpu=settings.cpu, memory=config_expr("settings.cpu * 1000"))
        @environment(vars={"A": [settings.cpu][0]})
        @Takes(settings.cpu)
        @tagging(who=config_expr("settings.who"))
        @step
        def start(self) -> None:
            self.next(self.end)

    settings = step_settings(Uses, "start")
    assert (settings.cpu, settings.memory_mib, settings.retry_times) == (3, 3000, 3)
    assert settings.environment == {"A": "3"}
    found = {d.name.rpartition(".")[2]: d for d in decorators_of(Uses, "start")}
    assert found["tagging"].attributes == {"who": "me"}


act: Act | None = None


def test_all_bad_values_of_expressions_are_told_together() -> None:
    class Wrong(Base):
        @resources(cpu=config_expr("settings.cpu - 10"))
        @step
        def start(self) -> None:
            self.next(self.end)

        @retry(times=config_expr("settings.nothing"))
        @step
        def end(self) -> None:
            pass

    with pytest.raises(DecoratorError) as caught:
        prepare(Wrong)
    cpu, times = str(caught.value).splitlines()
    assert "@resources: cpu=-7" in cpu
    assert "Step 'end' of flow Wrong: @retry: Config expression" in times


def test_a_bad_value_of_an_expression_names_the_step() -> None:
    class Wrong(Base):
        @resources(cpu=config_expr("settings.cpu - 10"))
        @step
        def start(self) -> None:
            self.next(self.end)

    with pytest.raises(
        DecoratorError, match=r"Step 'start' of flow Wrong \(.*:\d+\): @resources: cpu=-7"
    ):
        prepare(Wrong)


def test_wrong_arguments_of_a_mutator_name_the_line_of_its_init() -> None:
    class Strict(StepMutator):
        def init(self, times: int) -> None: ...

    class Wrong(Base):
        @Strict
        @step
        def start(self) -> None:
            self.next(self.end)

    line = Strict.init.__code__.co_firstlineno
    with pytest.raises(DecoratorError, match=rf"Strict of flow Wrong \({__file__}:{line}\): TypeE"):
        prepare(Wrong)


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
