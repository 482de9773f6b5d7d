from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowsdk import (
    USER_SKIP_STEP,
    FlowSpec,
    UserStepDecorator,
    catch,
    current,
    retry,
    step,
    user_step_decorator,
)
from flowsdk.decorators import STEP_DECORATORS, parse_spec
from flowsdk.decorators.base import decorators_of
from flowsdk.decorators.prepare import decorator_modules
from flowsdk.exception import DecoratorError
from tests.flowsdk.flows import run_flow, write_flow
from tests.flowsdk.running import run


@user_step_decorator
def noted(step_name: str, flow: Any, inputs: Any, attributes: dict[str, Any]) -> Iterator[None]:
    print("enter", attributes.get("who", "nobody"), step_name, inputs is not None)
    yield
    print("leave", attributes.get("who", "nobody"))
    flow.noted_by = attributes.get("who", "nobody")


@user_step_decorator
def forgiving(step_name: str, flow: Any, inputs: Any) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        flow.forgiven = str(error)


@user_step_decorator
def strict(step_name: str, flow: Any, inputs: Any) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise RuntimeError("translated") from error


@user_step_decorator
def skipping(
    step_name: str, flow: Any, inputs: Any, attributes: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    flow.fewer = [7, 8]
    yield attributes or USER_SKIP_STEP
    flow.after_skip = True


@user_step_decorator
def without_yield(step_name: str, flow: Any, inputs: Any) -> Iterator[None]:
    flow.instead = 1
    return
    yield


@user_step_decorator
def replacing(step_name: str, flow: Any, inputs: Any, attributes: dict[str, Any]) -> Iterator[Any]:
    def other(flow: Any, inputs: Any = None) -> Any:
        flow.instead = "another" if inputs is None else len(inputs)
        if attributes["returns"] is None:
            flow.next(flow.end)
        return attributes["returns"]

    yield other


@user_step_decorator
def greedy(step_name: str, flow: Any, inputs: Any) -> Iterator[None]:
    yield
    yield


class TwoSteps(FlowSpec):
    @step
    def start(self) -> None:
        print("in", current.step_name)
        self.x = 1
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


def start_with(*decorators: Any, body: Any = None) -> type[FlowSpec]:
    """A flow whose start step has these decorators, the outermost first."""

    class Decorated(TwoSteps):
        @step
        def start(self) -> None:
            print("in start")
            if body:
                body(self)
            self.x = 1
            self.next(self.end)

    for decorator in reversed(decorators):
        decorator(vars(Decorated)["start"])
    return Decorated


def test_a_generator_wraps_the_step_and_may_assign_artifacts(tmp_path: Path) -> None:
    ran = run(start_with(noted), tmp_path)
    assert ran.lines == ["enter nobody start False", "in start", "leave nobody"]
    assert ran.value("end/0", "noted_by") == "nobody"


def test_decorators_nest_as_they_are_written(tmp_path: Path) -> None:
    ran = run(start_with(noted(who="outer"), noted(who="inner")), tmp_path)
    assert ran.lines == [
        "enter outer start False",
        "enter inner start False",
        "in start",
        "leave inner",
        "leave outer",
    ]
    assert ran.value("end/0", "noted_by") == "outer"


def fail(flow: Any) -> None:
    raise ValueError("no luck")


def test_to_catch_the_exception_at_the_yield_makes_the_step_succeed(tmp_path: Path) -> None:
    ran = run(start_with(forgiving, body=fail), tmp_path)
    assert ran.succeeded
    assert ran.value("end/0", "forgiven") == "no luck"
    assert ran.results["start/0"].next == ("end",)
    assert ran.results["start/0"].caught is None


def test_what_the_decorator_raises_is_how_the_step_ends(tmp_path: Path) -> None:
    def look_up(flow: Any) -> None:
        {}["missing"]

    ran = run(start_with(strict, body=look_up), tmp_path)
    error = ran.results["start/0"].error
    assert error
    assert (error.type, error.message) == ("builtins.RuntimeError", "translated")
    assert "KeyError: 'missing'" in error.traceback


def test_an_exception_that_is_not_caught_passes_through_with_its_traceback(tmp_path: Path) -> None:
    ran = run(start_with(strict, noted, body=fail), tmp_path)
    error = ran.results["start/0"].error
    assert error
    assert error.type == "builtins.ValueError"
    assert error.traceback.count('raise ValueError("no luck")') == 1


def test_catch_sees_what_is_raised_wherever_it_is_written(tmp_path: Path) -> None:
    for decorators in ([noted, catch(var="e")], [catch(var="e"), noted]):
        ran = run(start_with(*decorators, body=fail), tmp_path)
        assert ran.succeeded
        assert ran.value("end/0", "e").type == "builtins.ValueError"
        assert "leave nobody" not in ran.lines


def test_a_process_that_dies_does_not_run_the_decorator_twice(tmp_path: Path) -> None:
    def die(flow: Any) -> None:
        os._exit(3)

    ran = run(start_with(catch(var="e"), noted, body=die), tmp_path)
    assert ran.succeeded
    assert ran.value("end/0", "e").type == "flowsdk.Exited"
    assert ran.output.count("enter nobody") == 1


@pytest.mark.parametrize("decorator", [skipping, without_yield])
def test_a_step_can_be_skipped_and_what_it_wraps_is_too(tmp_path: Path, decorator: Any) -> None:
    ran = run(start_with(decorator, noted), tmp_path)
    assert ran.succeeded
    assert ran.lines == []
    assert "x" not in ran.results["end/0"].artifacts
    if decorator is skipping:
        assert ran.value("end/0", "after_skip") is True


class Loops(FlowSpec):
    @skipping(foreach="fewer")
    @step
    def start(self) -> None:
        self.many = list(range(100))
        self.next(self.body, foreach="many")

    @step
    def body(self) -> None:
        self.got = self.input
        self.next(self.gather)

    @replacing(returns=True)
    @step
    def gather(self, inputs: Any) -> None:
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


def test_skipping_can_change_what_self_next_is_given(tmp_path: Path) -> None:
    ran = run(Loops, tmp_path)
    assert [ran.value(f"body/{i}", "got") for i in range(2)] == [7, 8]


def test_a_function_in_the_place_of_a_join_gets_its_inputs(tmp_path: Path) -> None:
    assert run(Loops, tmp_path).value("end/0", "instead") == 2


@pytest.mark.parametrize("returns", [None, False, True, {}])
def test_a_function_in_the_place_of_the_step_says_how_to_go_on(
    tmp_path: Path, returns: Any
) -> None:
    if returns is False:
        ran = run(start_with(replacing(returns=returns)), tmp_path)
        assert "ended without calling self.next()" in ran.results["start/0"].error.message  # type: ignore[union-attr]
        return
    ran = run(start_with(replacing(returns=returns), noted), tmp_path)
    assert ran.succeeded
    assert ran.lines == []
    assert ran.value("end/0", "instead") == "another"


def test_a_function_in_the_place_of_the_step_may_not_return_anything_else(tmp_path: Path) -> None:
    ran = run(start_with(replacing(returns=3)), tmp_path)
    assert "returned 3, expected None, True or a dict" in ran.results["start/0"].error.message  # type: ignore[union-attr]


def test_to_yield_twice_is_an_error(tmp_path: Path) -> None:
    ran = run(start_with(greedy), tmp_path)
    assert "yielded twice" in ran.results["start/0"].error.message  # type: ignore[union-attr]


class Counting(UserStepDecorator):
    """Has something of its own, which must not be there at the next use."""

    def init(self, **kwargs: Any) -> None:
        self.options = kwargs
        self.calls: list[str] = []

    def pre_step(self, step_name: str, flow: Any, inputs: Any = None) -> None:
        self.calls.append("pre")
        if self.options.get("skip"):
            self.skip_step = self.options["skip"]

    def post_step(self, step_name: str, flow: Any, exception: Exception | None = None) -> Any:
        self.calls.append("post")
        flow.calls = list(self.calls)
        flow.seen = type(exception).__name__
        return {"swallow": (None, None), "next": (None, {}), "default": exception, "none": None}[
            self.options.get("ends", "default")
        ]


def test_a_class_has_code_before_and_after_the_step(tmp_path: Path) -> None:
    ran = run(start_with(Counting), tmp_path)
    assert ran.value("end/0", "calls") == ["pre", "post"]
    assert ran.value("end/0", "seen") == "NoneType"


def test_every_attempt_has_a_decorator_of_its_own(tmp_path: Path) -> None:
    def fail_once(flow: Any) -> None:
        if not current.retry_count:
            raise ValueError

    ran = run(
        start_with(retry(times=1, minutes_between_retries=0), Counting(a=1), body=fail_once),
        tmp_path,
    )
    assert ran.value("end/0", "calls") == ["pre", "post"]


@pytest.mark.parametrize("ends", ["swallow", "next", "none"])
def test_post_step_can_make_a_failed_step_succeed(tmp_path: Path, ends: str) -> None:
    ran = run(start_with(Counting(ends=ends), body=fail), tmp_path)
    assert ran.succeeded
    assert ran.value("end/0", "seen") == "ValueError"


def test_post_step_that_returns_the_exception_lets_the_step_fail(tmp_path: Path) -> None:
    ran = run(start_with(Counting(ends="default"), body=fail), tmp_path)
    assert ran.results["start/0"].error.type == "builtins.ValueError"  # type: ignore[union-attr]


def test_skip_step_skips(tmp_path: Path) -> None:
    ran = run(start_with(Counting(skip=True)), tmp_path)
    assert ran.succeeded
    assert ran.lines == []
    assert ran.value("end/0", "calls") == ["pre", "post"]


def test_keywords_that_the_step_does_not_have_are_refused(tmp_path: Path) -> None:
    ran = run(start_with(Counting(skip={"foreach": "xs"})), tmp_path)
    assert "'foreach', expected the keywords" in ran.results["start/0"].error.message  # type: ignore[union-attr]


@user_step_decorator(level=1, colour="red")
def coloured(step_name: str, flow: Any, inputs: Any, attributes: dict[str, Any]) -> Iterator[None]:
    yield
    flow.colour = attributes


def test_a_generator_may_have_defaults_of_its_arguments(tmp_path: Path) -> None:
    ran = run(start_with(coloured(level=2)), tmp_path)
    assert ran.value("end/0", "colour") == {"level": 2, "colour": "red"}


@pytest.mark.parametrize("value", [None, False, 0, ""])
def test_skip_step_that_says_no_does_not_skip(tmp_path: Path, value: Any) -> None:
    class Asks(UserStepDecorator):
        def pre_step(self, step_name: str, flow: Any, inputs: Any = None) -> None:
            self.skip_step = value

    assert run(start_with(Asks), tmp_path).lines == ["in start"]


def plain_method() -> None: ...


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: user_step_decorator(plain_method), "expected a generator function"),  # type: ignore[arg-type]
        (lambda: user_step_decorator(lambda a: (yield)), "found 1 arguments"),
        (lambda: user_step_decorator(a=1)(lambda x, y, z: (yield)), "found 3 arguments"),
        (lambda: forgiving(a=1), "takes none"),
        (lambda: noted(3), "keyword arguments only"),
        (lambda: noted(who=1)(plain_method), "which is not a step"),
    ],
)
def test_wrong_uses_are_refused_where_they_stand(make: Any, message: str) -> None:
    with pytest.raises(DecoratorError, match=message):
        make()


def test_a_decorator_on_something_that_is_no_step_is_refused() -> None:
    with pytest.raises((DecoratorError, RuntimeError)) as caught:

        class Wrong(FlowSpec):
            @noted(who="me")
            def helper(self) -> None: ...

    assert "not a step" in str(caught.value) + str(caught.value.__cause__)


def test_with_adds_one_to_the_steps_that_have_none_of_the_kind(tmp_path: Path) -> None:
    name = f"{__name__}.noted"
    ran = run(start_with(noted(who="source")), tmp_path, with_=[f"{name}:who=with"])
    assert ran.value("start/0", "noted_by") == "source"
    assert ran.value("end/0", "noted_by") == "with"


@pytest.mark.parametrize("name", ["test_wrappers.noted", f"{__name__}.noted"])
def test_with_finds_it_by_as_much_of_its_name_as_is_needed(name: str) -> None:
    found = parse_spec(f'{name}:who=me,n=2,rest={{"a": 1}}', STEP_DECORATORS)
    assert type(found) is noted
    assert found.attributes == {"who": "me", "n": 2, "rest": {"a": 1}}
    assert parse_spec(found.spec(), STEP_DECORATORS).attributes == found.attributes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("test_wrappers.notde", "no step decorator|No module"),
        ("no_such_module.deco", "No module named 'no_such_module'"),
        (f"{__name__}.plain_method", "expected a step decorator"),
        ("retrry", "Did you mean 'retry'"),
    ],
)
def test_with_tells_what_it_cannot_find(text: str, message: str) -> None:
    with pytest.raises(DecoratorError, match=message):
        parse_spec(text, STEP_DECORATORS)


MODULE = """
from flowsdk import user_step_decorator

@user_step_decorator
def loud(step_name, flow, inputs, attributes):
    print("loud", step_name, attributes["level"])
    yield
"""
PLAIN = """
class Plain(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Plain()
"""


def test_with_imports_the_module_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text(MODULE, "utf-8")
    path = write_flow(tmp_path, PLAIN)
    done = run_flow(path, "run", "--with", "helpers.loud:level=3")
    assert done.returncode == 0, done.stderr
    assert "loud start 3" in done.stdout
    assert "loud end 3" in done.stdout


def test_jobs_are_told_which_modules_decorators_come_from() -> None:
    flow = start_with(noted)
    assert decorator_modules(flow) == [__name__]
    assert decorator_modules(TwoSteps, [noted()]) == [__name__]
    assert decorator_modules(TwoSteps, [parse_spec("retry", STEP_DECORATORS)]) == [
        "flowsdk.decorators.retry"
    ]


def test_flowsdks_own_decorators_are_around_the_users() -> None:
    flow = start_with(noted, retry, catch)
    assert [d.name.rpartition(".")[2] for d in decorators_of(flow, "start")] == [
        "catch",
        "retry",
        "noted",
    ]
