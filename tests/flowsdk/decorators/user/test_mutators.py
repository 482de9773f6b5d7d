from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowsdk import (
    FlowMutator,
    FlowSpec,
    MutableStep,
    StepMutator,
    environment,
    retry,
    schedule,
    step,
)
from flowsdk.decorators.base import decorators_of
from flowsdk.decorators.prepare import prepare
from flowsdk.decorators.settings import step_settings
from flowsdk.exception import DecoratorError
from tests.flowsdk.decorators.user.mutated_flows import Act, Base, StepAct, Takes, tagging
from tests.flowsdk.running import run


def mutated(pre: Act | None = None, late: Act | None = None) -> type[FlowSpec]:
    """A flow with a step mutator on ``start``."""

    class Mutated(Base):
        @StepAct(pre, late)
        @retry(times=2)
        @step
        def start(self) -> None:
            self.next(self.end)

    return Mutated


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
    for kind in (tagging, "tagging", f"{tagging.__module__}.tagging"):
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
    assert seen[2] == ("tagging", f"{tagging.__module__}.tagging", [], {"a": 1})
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
    ran = run(Plain, tmp_path, with_=["mutated_flows.Takes:0=0,minutes_between_retries=0"])
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
