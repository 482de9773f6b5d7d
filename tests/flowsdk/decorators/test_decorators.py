from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime, timezone
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


def test_what_batch_does_not_say_leaves_it_to_resources() -> None:
    class Small(FlowSpec):
        @batch
        @resources(cpu=2, memory=512)
        @step
        def both(self): ...

        @resources(memory=512)
        @step
        def resources_only(self): ...

        @batch(memory="256", gpu=1, shared_memory=64, use_tmpfs=True)
        @step
        def batch_only(self): ...

        @batch(memory=256)
        @resources(cpu=2)
        @step
        def default_of_resources(self): ...

    with_batch = [parse_spec("batch", STEP_DECORATORS)]
    both = step_settings(Small, "both")
    assert (both.cpu, both.memory_mib, both.gpu) == (2, 512, 0)
    assert step_settings(Small, "resources_only", with_batch).memory_mib == 512
    alone = step_settings(Small, "batch_only")
    assert (alone.cpu, alone.memory_mib, alone.gpu, alone.shared_memory_mib) == (1, 256, 1, 64)
    assert alone.tmpfs_size_mib == 128
    assert step_settings(Small, "default_of_resources").memory_mib == 4096


def test_lists_and_tags_may_be_given_as_text() -> None:
    class Text(FlowSpec):
        @batch(host_volumes="/data", efs_volumes=["fs-1:/efs"], log_options="a:b", max_swap="10",
               aws_batch_tags=["team=a=b"])  # fmt: skip
        @step
        def text(self): ...

    settings = step_settings(Text, "text")
    assert settings.host_volumes == ("/data",)
    assert settings.efs_volumes == ("fs-1:/efs",)
    assert settings.log_options == {"a": "b"}
    assert settings.max_swap_mib == 10
    assert settings.tags == {"team": "a=b"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"memory": "1000"}, ("memory_mib", 4096)),
        ({"memory": "9000"}, ("memory_mib", 9000)),
        ({"cpu": "0.5"}, ("cpu", 2)),
        ({"cpu": 2.5}, ("cpu", 2.5)),
        ({"gpu": "3"}, ("gpu", 3)),
        ({"gpu": None}, ("gpu", 1)),
        ({"shared_memory": 128}, ("shared_memory_mib", 256)),
        ({"ephemeral_storage": 30}, ("ephemeral_storage_gib", 40)),
        ({"ephemeral_storage": "50"}, ("ephemeral_storage_gib", 50)),
        ({"inferentia": 2}, ("neuron", 2)),
        ({"trainium": "4"}, ("neuron", 4)),
        ({"efa": 1}, ("efa", 1)),
        ({"executable": "python3.12"}, ("executable", "python3.12")),
        ({"use_tmpfs": True}, ("tmpfs_tempdir", True)),
        ({"use_tmpfs": True, "tmpfs_tempdir": False}, ("tmpfs_tempdir", False)),
    ],
)
def test_options_of_batch_beside_those_of_resources(
    given: dict[str, Any], expected: tuple[str, Any]
) -> None:
    class Both(FlowSpec):
        @batch(**given)
        @resources(cpu=2, memory="4096", gpu="1", shared_memory="256", disk=40 * 1024)
        @step
        def both(self): ...

    name, value = expected
    assert getattr(step_settings(Both, "both"), name) == value


def test_a_small_disk_is_there_anyway() -> None:
    class Small(FlowSpec):
        @resources(disk=20 * 1024)
        @step
        def small(self): ...

    assert step_settings(Small, "small").ephemeral_storage_gib is None


def test_retries_may_be_many_or_none() -> None:
    class Tries(FlowSpec):
        @retry(times=100, minutes_between_retries=0.5)
        @step
        def many(self): ...

        @retry(times=0)
        @step
        def none(self): ...

    with_retry = [parse_spec("retry:times=9", STEP_DECORATORS)]
    assert step_settings(Tries, "many").retry_times == 100
    assert step_settings(Tries, "many").retry_delay_minutes == 0.5
    assert step_settings(Tries, "none", with_retry).retry_times == 0


def test_values_on_the_command_line_may_have_commas() -> None:
    spec = 'environment:vars={"A": "b", "C": "d=e"}'
    assert parse_spec(spec, STEP_DECORATORS).attributes["vars"] == {"A": "b", "C": "d=e"}
    mixed = parse_spec('batch:image=repo/a:1,host_volumes=["/a","/b"],cpu=2', STEP_DECORATORS)
    assert mixed == batch_of(image="repo/a:1", host_volumes=["/a", "/b"], cpu=2)


def batch_of(**attributes: Any) -> Any:
    return STEP_DECORATORS["batch"](**attributes)


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
        (lambda: retry(time=1), r"@retry \(.*\.py:\d+\): found attribute 'time', .*Did you mean"),
        (lambda: retry(times=-1), "@retry .*: times=-1"),
        (timeout, "@timeout .*: found no time"),
        (lambda: timeout(seconds="x"), "@timeout .*: seconds='x'"),
        (lambda: environment(vars={"AWS_BATCH_X": 1}), "AWS Batch reserves"),
        (lambda: environment(vars=[1]), "expected a dict"),
        (lambda: resources(memory=0), "@resources .*: memory=0, expected a positive"),
        (lambda: resources(cpu="many"), "@resources .*: cpu='many'"),
        (lambda: batch(swappiness=101), "expected 0 to 100"),
        (lambda: batch(inferentia=1, trainium=1), "both inferentia and trainium"),
        (lambda: batch(efa="many"), "efa='many', expected a number"),
        (lambda: batch(executable=3), "executable=3, expected a program"),
        (lambda: batch(log_options=["x"]), "expected 'key:value'"),
        (lambda: batch(swappiness="x"), "swappiness='x', expected a number"),
        (lambda: batch(max_swap=1.5), "expected a whole number"),
        (lambda: batch(memory=True), "memory=True, expected a number"),
        (lambda: batch(ephemeral_storage=20), "expected 21 to 200"),
        (lambda: batch(tmpfs_path="tmp"), "expected an absolute path"),
        (lambda: batch(host_volumes=[1]), "expected a list of texts"),
        *(
            (lambda text=text: batch(host_volumes=[text]), "expected 'source:/in/container'")
            for text in ("/a:b", ":/b", "/a:", "a:/b:c")
        ),
        (lambda: batch(efs_volumes="fs-1:efs"), "efs_volumes has 'fs-1:efs', expected"),
        (lambda: batch(aws_batch_tags={"aws:x": "1"}), "aws_batch_tags has 'aws:x': '1', expected"),
        (lambda: batch(aws_batch_tags={"x": "a;b"}), "aws_batch_tags has 'x': 'a;b', expected"),
        (lambda: batch(aws_batch_tags={"x" * 129: ""}), "a key of 1 to 128"),
        (lambda: batch(aws_batch_tags={str(n): "" for n in range(41)}), "has 41 tags, expected at"),
        (lambda: batch(share_identifier="red/1"), "share_identifier='red/1', expected up to 255"),
        (lambda: batch(share_identifier="a", scheduling_priority=10_000), "expected 0 to 9999"),
        (lambda: batch(scheduling_priority=1), "scheduling_priority without share_identifier"),
        (lambda: batch(container_properties=[]), r"container_properties=\[\], expected a dict"),
        (lambda: retry(on_oom=0.5), "on_oom=0.5, expected a number, 1 or more"),
        (lambda: retry(on_oom="much"), "on_oom='much', expected a number, 1 or more"),
        (lambda: batch(aws_batch_tags=["a"]), "expected a dict, or a list of 'key=value'"),
        (lambda: resources(gpu=0.5), "gpu=0.5, expected a whole number"),
        (lambda: resources(gpu=1, gpu_type=4), "gpu_type=4, expected the name of a GPU"),
        (lambda: retry(times=True), "times=True, expected a whole number"),
        (lambda: timeout(seconds=1.5), "found 1.5 seconds, expected whole seconds"),
        (lambda: environment(vars={"A": None}), "found A=None, expected a text or a number"),
        (lambda: schedule(cron="* * *"), "has 3 fields, expected 5"),
        (lambda: schedule(cron="0 10 ? * 6L *"), "has '6L' for the day of week, expected 1 to 7"),
        (lambda: schedule(cron="0 10 * * ? 2030"), "names a year"),
        (lambda: schedule(cron="99 10 * * *"), "has '99' for the minute, expected 0 to 59"),
        (lambda: schedule(cron="0 0 L * *"), "has 'L' for the day of month"),
        (lambda: schedule(cron="0 0 ? * 2#1 *"), "has '2#1' for the day of week"),
        (lambda: schedule(cron="0 0 ? * 0 *"), "has '0' for the day of week, expected 1 to 7"),
        (lambda: schedule(cron="@sometimes"), "has 1 fields, expected 5"),
        (
            lambda: schedule(cron="*/0 * * * *"),
            "for the minute, expected steps of at least 1",
        ),
        (lambda: schedule(cron="0 0 30 2 *"), "day 30 of month 2, a date that never comes"),
        (lambda: schedule(cron="0 0 31 apr,6 ? *"), "day 31 of month APR,6, a date that never"),
        (lambda: schedule(timezone="Europe/Berln"), "Did you mean .*'Europe/Berlin'"),
        (lambda: schedule(daily=False), "found no time"),
        (lambda: schedule(start_date="soon"), "start_date='soon', expected a date such as"),
        (lambda: schedule(end_date=3), "end_date=3, expected a date"),
        (lambda: schedule(catchup=True), "catchup=True, expected start_date as well"),
        (lambda: schedule(data_interval="yes"), "data_interval='yes', expected True or False"),
        (lambda: schedule(start_dat="2026-01-01"), "Did you mean 'start_date'"),
        (
            lambda: schedule(start_date="2026-02-01", end_date="2026-01-31"),
            "start_date='2026-02-01' comes after end_date='2026-01-31'",
        ),
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
        ({"cron": "@monthly"}, "@monthly"),
        ({"cron": "0 9 * * WED"}, "0 9 * * WED"),
        ({"cron": "0 9 * jul MON-FRI"}, "0 9 * JUL MON-FRI"),
        ({"cron": "*/15 8-18/2 1,15 * 7"}, "*/15 8-18/2 1,15 * 7"),
        ({"cron": "5/10 * * * *"}, "5-59/10 * * * *"),
        ({"cron": "0 0 31 2-3 *"}, "0 0 31 2-3 *"),
        ({"cron": "0 0 29,31 2 *"}, "0 0 29,31 2 *"),
        ({"cron": "0 0 30-2 2 *"}, "0 0 30-2 2 *"),
        # A day of the week or one of the month: every Monday in February.
        ({"cron": "0 0 30 2 1"}, "0 0 30 2 1"),
        ({"cron": "0 10 * * ? *"}, "0 10 * * *"),
        # EventBridge's Sunday is 1, cron's is 0.
        ({"cron": "0 10 ? * 1 *"}, "0 10 * * 0"),
        ({"cron": "0 10 ? * 2-6 *"}, "0 10 * * 1-5"),
        ({"cron": "0 10 ? * 2/2 *"}, "0 10 * * 1-6/2"),
        ({"cron": "cron(0/5 8 ? * MON-FRI *)"}, "0-59/5 8 * * MON-FRI"),
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


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-01-01", "2026-01-31", ("2026-01-01T00:00:00+01:00", "2026-01-31T23:59:59+01:00")),
        ("2026-07-01T06:00", None, ("2026-07-01T06:00:00+02:00", None)),
        ("2026-07-01T06:00Z", None, ("2026-07-01T06:00:00+00:00", None)),
        (date(2026, 1, 1), date(2026, 1, 1), ("2026-01-01T00:00:00+01:00", "2026-01-01T23:59:59+01:00")),
        pytest.param(None, "20260131", (None, "2026-01-31T23:59:59+01:00"), marks=pytest.mark.skipif(
            sys.version_info < (3, 11), reason="Python does not read it")),
        (datetime(2026, 1, 1, 6, tzinfo=timezone.utc), None, ("2026-01-01T06:00:00+00:00", None)),
        (None, None, (None, None)),
    ],
)  # fmt: skip
def test_the_dates_of_a_schedule(start: Any, end: Any, expected: tuple[Any, Any]) -> None:
    @schedule(timezone="Europe/Berlin", start_date=start, end_date=end)
    class Scheduled(FlowSpec): ...

    found = flow_schedule(Scheduled)
    assert found
    assert tuple(at and at.isoformat() for at in (found.start, found.end)) == expected
    assert (found.catchup, found.data_interval) == (False, False)


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
