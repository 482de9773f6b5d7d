from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowsdk import Config, ConfigValue, FlowSpec, Parameter, config_expr, retry, schedule, step
from flowsdk.configs import (
    ConfigExpression,
    evaluate,
    has_expressions,
    pin_configs,
    recorded_configs,
    resolve_configs,
)
from flowsdk.configs.options import take_config_options
from flowsdk.configs.resolving import Given
from flowsdk.decorators.base import decorators_of
from flowsdk.decorators.prepare import flow_decorators
from flowsdk.exception import ConfigError, UsageError
from flowsdk.flow import constants_of
from flowsdk.parameters import collect_parameters, resolve_parameters
from flowsdk.registry import mark_deployed

FACTOR = 10


def flow_with(*configs: Config) -> type[FlowSpec]:
    attributes: dict[str, Any] = {f"c{i}": config for i, config in enumerate(configs)}
    return type("Flow", (FlowSpec,), {**attributes, "__module__": __name__})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_text('{"a": {"b": 1}, "n": 2}')
    return tmp_path


def words(text: str) -> dict[str, int]:
    return {word: len(word) for word in text.split()}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Config("c", default="c.json"), {"a": {"b": 1}, "n": 2}),
        (Config("c", default=lambda context: f"{context.parameter_name}.json"), {"a": {"b": 1}, "n": 2}),
        (Config("c", default_value='{"x": 1}'), {"x": 1}),
        (Config("c", default_value={"x": (1, 2)}), {"x": [1, 2]}),
        (Config("c", default_value=lambda context: {"flow": context.flow_name}), {"flow": "Flow"}),
        (Config("c", default="missing.json", default_value={"x": 1}), {"x": 1}),
        (Config("c", default="c.json", default_value={"x": 1}), {"a": {"b": 1}, "n": 2}),
        (Config("c", default_value="ab c", parser=words), {"ab": 2, "c": 1}),
        (Config("c", default_value="a==1", parser=".configs.parsers.requirements_txt_parser"),
         {"packages": {"a": "1"}, "python": None}),
        (Config("c", default_value="[1, 2]", plain=True), [1, 2]),
        (Config("c"), None),
    ],
)  # fmt: skip
def test_where_a_value_comes_from(folder: Path, config: Config, expected: Any) -> None:
    flow = flow_with(config)
    resolve_configs(flow)
    assert flow.c0 == expected
    assert isinstance(flow.c0, ConfigValue) is (isinstance(expected, dict) and not config._plain)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Config("c", required=True), "found no value, expected one: --config c FILE"),
        (Config("c", default="missing.json"), "found no such file, expected .*missing.json or .*"),
        (Config("c", default_value="{"), "its default_value is not JSON .* pass parser="),
        (Config("c", default_value="[1]"), r"gives \[1\], expected a dict. Pass plain=True"),
        (Config("c", default_value={"a": {"b": {1}}}), r"c.a.b is a set, and JSON has no such value"),
        (Config("c", default_value={"a": [float("nan")]}), r"c.a\[0\] is nan"),
        (Config("c", default_value={"a": {1: 2}}), "c.a has the key 1, expected texts"),
        (Config("c", default_value="x", parser=lambda text: 1 / 0), "failed with ZeroDivisionError"),
        (Config("c", default_value="x", parser=lambda text: 1 / 0), "its default_value, given to its"),
        (Config("c", default_value="x", parser="nowhere.f"), r"its parser 'nowhere.f' cannot be imp"),
        (Config("c", default_value="x", parser="json.lods"), r"its parser 'json.lods' .* no attribute"),
        (Config("c", default_value="x", parser="json.__name__"), "its parser is 'json', expected"),
        (Config("c", default=lambda context: 1 / 0), "its default failed with ZeroDivisionError"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place(
    folder: Path, config: Config, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        resolve_configs(flow_with(config))
    assert "test_resolving.py:" in str(caught.value)
    assert isinstance(caught.value, UsageError)


def test_all_problems_are_reported_together(folder: Path) -> None:
    flow = flow_with(Config("a", required=True), Config("b", default="no"))
    with pytest.raises(ConfigError) as caught:
        resolve_configs(flow, {"aa": Given("{}", is_path=False)})
    assert len(str(caught.value).splitlines()) == 3
    assert "Did you mean 'a'?" in str(caught.value)


def test_names_differ_by_more_than_case() -> None:
    with pytest.raises(ConfigError, match="specified twice, also as Flow.c0"):
        resolve_configs(flow_with(Config("a"), Config("A")))


def test_a_name_of_the_flows_own_is_refused() -> None:
    flow = type("Flow", (FlowSpec,), {"next": Config("c"), "__module__": __name__})
    with pytest.raises(ConfigError, match=r"FlowSpec uses self\.next itself"):
        resolve_configs(flow)


def test_a_deployed_flow_reads_beside_its_file_only(folder: Path) -> None:
    flow = flow_with(Config("c", default="c.json"))
    mark_deployed(flow)
    with pytest.raises(ConfigError, match="expected [^ ]*/tests/flowsdk/configs/c.json."):
        resolve_configs(flow)


def test_resolving_is_done_once_and_for_each_class(folder: Path) -> None:
    flow = flow_with(Config("c", default="c.json"))
    first = resolve_configs(flow)
    (folder / "c.json").write_text("{}")
    assert resolve_configs(flow) is first
    child = type("Child", (flow,), {"__module__": __name__})
    assert resolve_configs(child) == {"c": {}}


def test_the_values_of_a_run_are_pinned(folder: Path) -> None:
    pin_configs(recorded_configs(flow_with(Config("c", default_value={"b": 8, "a": 9}))))
    try:
        flow = flow_with(Config("c", default="c.json"), Config("new", default_value={"x": 1}))
        assert resolve_configs(flow) == {"c": {"b": 8, "a": 9}, "new": {"x": 1}}
        assert list(flow.c0) == ["b", "a"]
    finally:
        pin_configs(None)


@pytest.mark.parametrize(
    ("line", "env", "expected"),
    [
        (["--config", "C", "c.json", "run"], {}, {"a": {"b": 1}, "n": 2}),
        (["--config-value", "c", '{"x": 1}', "run"], {}, {"x": 1}),
        (["run"], {"METAFLOW_FLOW_CONFIG_VALUE": '{"c": {"x": 2}}'}, {"x": 2}),
        (["run"], {"FLOWSDK_FLOW_CONFIG": '{"c": "c.json"}'}, {"a": {"b": 1}, "n": 2}),
        (["--config-value", "c", "{}"], {"FLOWSDK_FLOW_CONFIG": '{"c": "c.json"}'}, {}),
        (["run", "--x", "1"], {}, {"default": 1}),
    ],
)
def test_the_command_line_and_the_environment_give_values(
    folder: Path, line: list[str], env: dict[str, str], expected: Any
) -> None:
    flow = flow_with(Config("c", default_value={"default": 1}))
    take_config_options(flow, line, env)
    assert resolve_configs(flow) == {"c": expected}


@pytest.mark.parametrize(
    ("line", "env", "message"),
    [
        (["--config", "c", "c.json", "--config-value", "c", "{}"], {}, "both --config and"),
        (["--config", "c"], {}, "expected 2 arguments"),
        ([], {"FLOWSDK_FLOW_CONFIG": "[]"}, "FLOWSDK_FLOW_CONFIG: found"),
    ],
)
def test_command_lines_that_are_refused(
    folder: Path, line: list[str], env: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        take_config_options(flow_with(Config("c")), line, env)


class Expressive(FlowSpec):
    config = Config("cfg", default_value={"a": {"b": 2, "list": [1]}, "name": "x", "class": 3})
    which = Config("which-one", default_value={"key": "a"})
    late = Parameter("late", default=config.a.b, help=config_expr("cfg.name + '!'"))
    unpacked = {**config.a, "b": 7}
    items = [config["class"], config[which.key].list, config_expr("cfg.a.b * FACTOR")]


def test_expressions_are_evaluated_wherever_they_stand() -> None:
    constants = Expressive.__dict__
    assert has_expressions(constants["items"])
    assert evaluate(constants["items"], Expressive) == [3, [1], 20]
    assert evaluate(constants["unpacked"], Expressive) == {"b": 7, "list": [1]}
    assert evaluate({"x": Expressive.__dict__["config"]}, Expressive)["x"]["name"] == "x"
    assert evaluate("plain", Expressive) == "plain"


def test_a_parameter_takes_its_default_and_type_from_a_config() -> None:
    parameter = collect_parameters(Expressive)["late"]
    assert (parameter.type, parameter.default, parameter.help) == (int, 2, "x!")
    assert resolve_parameters(Expressive, {})["late"] == 2
    assert isinstance(Expressive.__dict__["late"].default, ConfigExpression)


def test_an_expression_that_fails_says_where_it_stands() -> None:
    class Failing(FlowSpec):
        config = Config("cfg", default_value={"depth": 1})
        p = Parameter("p", default=config.detph)

    with pytest.raises(Exception, match=r"Config expression 'cfg.detph'.*Did you mean 'depth'"):
        collect_parameters(Failing)


def test_an_expression_that_fails_names_the_step_and_near_misses() -> None:
    class Failing(FlowSpec):
        config = Config("cfg", default_value={"depth": 1})

        @retry(times=config_expr("cgf.depth"))
        @step
        def start(self) -> None: ...

    wanted = (
        r"Step 'start' of flow Failing: @retry: Config expression 'cgf.depth' \(.*\): NameError: "
        r"name 'cgf' is not defined\. Did you mean 'cfg'\?.* Configs of Failing: cfg"
    )
    with pytest.raises(ConfigError, match=wanted):
        decorators_of(Failing, "start")

    @schedule(cron=config_expr("cfg.cron"))
    class Late(FlowSpec):
        config = Config("cfg", default_value={})

    with pytest.raises(ConfigError, match=r"^Flow Late: @schedule: Config expression 'cfg.cron'"):
        flow_decorators(Late, "schedule")


def test_an_expression_cannot_be_tested_before_it_has_a_value() -> None:
    with pytest.raises(TypeError, match=r"cannot be tested while the class is being defined"):
        bool(Expressive.__dict__["config"].a)
    with pytest.raises(TypeError, match="cannot be iterated over"):
        list(Expressive.__dict__["config"].a)


def test_configs_are_constants_of_the_flow() -> None:
    constants = constants_of(Expressive)
    assert constants["config"].a.b == 2
    assert constants["which"] == {"key": "a"}


def test_a_config_cannot_be_assigned_in_a_step() -> None:
    with pytest.raises(AttributeError, match="configs are read-only"):
        Expressive(use_cli=False).config = 1
