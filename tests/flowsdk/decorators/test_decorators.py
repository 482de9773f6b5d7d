from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowsdk import FlowSpec, batch, environment, resources, retry, schedule, step, timeout
from flowsdk.decorators import STEP_DECORATORS, parse_spec
from flowsdk.decorators.settings import StepSettings, flow_schedule, step_settings
from flowsdk.exception import DecoratorError
from flowsdk.registry import register_compiler, unregister_compiler


class Flow(FlowSpec):
    @step
    def plain(self): ...

    @retry
    @timeout(minutes=2, seconds=5)
    @environment(vars={"N": 3})
    @step
    def decorated(self): ...

    @resources(cpu=4, memory=1000, gpu=1, gpu_type="A10G")
    @batch(cpu=2, memory=2000, queue="q", use_tmpfs=True, log_options=["a:b:c"])
    @step
    def large(self): ...


def test_a_plain_step_has_the_defaults() -> None:
    assert step_settings(Flow, "plain") == StepSettings()


def test_what_decorators_add_up_to() -> None:
    settings = step_settings(Flow, "decorated")
    assert (settings.retry_times, settings.retry_delay_minutes) == (3, 2)
    assert settings.timeout_seconds == 125
    assert settings.environment == {"N": "3"}
    assert not settings.on_batch


def test_the_larger_of_resources_and_batch_counts() -> None:
    settings = step_settings(Flow, "large")
    assert (settings.cpu, settings.memory_mib, settings.gpu) == (4, 2000, 1)
    assert (settings.gpu_type, settings.queue) == ("A10G", "q")
    assert settings.tmpfs_size_mib == 1000
    assert settings.log_options == {"a": "b:c"}
    assert settings.on_batch


def test_decorators_from_the_command_line_yield_to_those_of_the_step() -> None:
    extra = [parse_spec("retry:times=9", STEP_DECORATORS), parse_spec("batch", STEP_DECORATORS)]
    assert step_settings(Flow, "plain", extra).retry_times == 9
    assert step_settings(Flow, "plain", extra).on_batch
    assert step_settings(Flow, "decorated", extra).retry_times == 3
    assert step_settings(Flow, "large", extra).queue == "q"


def test_an_unknown_step() -> None:
    with pytest.raises(DecoratorError, match="no step 'nothing'"):
        step_settings(Flow, "nothing")


@pytest.mark.parametrize(
    ("decorate", "message"),
    [
        (lambda: retry(time=1), "@retry has no attribute 'time', expected times, .*Did you mean"),
        (lambda: retry(times=-1), "@retry: times=-1"),
        (lambda: timeout(), "@timeout: found no time"),
        (lambda: timeout(seconds="x"), "@timeout: seconds='x'"),
        (lambda: environment(vars={"AWS_BATCH_X": 1}), "AWS Batch reserves"),
        (lambda: environment(vars=[1]), "expected a dict"),
        (lambda: resources(memory=0), "@resources: memory=0, expected a positive"),
        (lambda: resources(cpu="many"), "@resources: cpu='many'"),
        (lambda: batch(swappiness=101), "expected 0 to 100"),
        (lambda: batch(log_options=["x"]), "expected 'key:value'"),
        (lambda: schedule(cron="* * *"), "has 3 fields, expected 5"),
        (lambda: schedule(cron="0 10 ? * 6L *"), "EventBridge's own"),
        (lambda: schedule(daily=False), "found no time"),
        (lambda: schedule(timezone="Mars/Olympus"), "expected an IANA name"),
        (lambda: retry(lambda self: 1), "which is not a step. Put @step closest"),
        (lambda: schedule(int), "expected a subclass of FlowSpec"),
        (lambda: retry(retry(step(lambda self: 1))), "found twice"),
    ],
)
def test_mistakes(decorate: Callable[[], Any], message: str) -> None:
    with pytest.raises(DecoratorError, match=message):
        decorate()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rety", "no step decorator 'rety'. Did you mean 'retry'"),
        ("retry:times", "found 'times', expected key=value"),
        ("retry:tims=1", "Did you mean 'times'"),
    ],
)
def test_mistakes_on_the_command_line(text: str, message: str) -> None:
    with pytest.raises(DecoratorError, match=message):
        parse_spec(text, STEP_DECORATORS)


@pytest.mark.parametrize(
    ("arguments", "cron"),
    [
        ({}, "@daily"),
        ({"hourly": True}, "@hourly"),
        ({"weekly": True}, "@weekly"),
        ({"cron": "5 4 * * 1"}, "5 4 * * 1"),
        ({"cron": "0 10 * * ? *"}, "0 10 * * *"),
    ],
)
def test_schedules(arguments: dict[str, Any], cron: str) -> None:
    @schedule(timezone="Europe/Berlin", **arguments)
    class Scheduled(FlowSpec): ...

    class Inheriting(Scheduled): ...

    for flow in (Scheduled, Inheriting):
        settings = flow_schedule(flow)
        assert settings
        assert (settings.cron, settings.timezone) == (cron, "Europe/Berlin")
    assert flow_schedule(Flow) is None


def test_a_schedule_can_be_replaced_in_a_subclass_but_not_given_twice() -> None:
    @schedule(hourly=True)
    class Scheduled(FlowSpec): ...

    @schedule(weekly=True)
    class Other(Scheduled): ...

    assert flow_schedule(Other).cron == "@weekly"  # type: ignore[union-attr]
    assert flow_schedule(Scheduled).cron == "@hourly"  # type: ignore[union-attr]
    with pytest.raises(DecoratorError, match="found twice on flow Other"):
        schedule(daily=True)(Other)


def test_compilers_hear_of_a_class_and_of_its_decorators() -> None:
    heard: list[tuple[str, bool]] = []

    def compiler(flow: type) -> None:
        heard.append((flow.__name__, flow_schedule(flow) is not None))

    register_compiler(compiler)
    register_compiler(compiler)
    try:

        @schedule
        class Heard(FlowSpec): ...
    finally:
        unregister_compiler(compiler)

    class Unheard(FlowSpec): ...

    assert heard == [("Heard", False), ("Heard", True)]
