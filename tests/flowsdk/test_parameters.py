from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

from flowsdk import Config, FlowSpec, JSONType, Parameter
from flowsdk.exception import ParameterError, ParameterFieldTypeMismatch
from flowsdk.parameters import (
    ParameterContext,
    collect_parameters,
    convert,
    json_schema,
    resolve_parameters,
)


class Base(FlowSpec):
    alpha = Parameter("alpha", default=0.5, help="How much.", min=0, max=1)
    overridden = Parameter("overridden", default=1)


class Flow(Base):
    overridden = Parameter("overridden", default="text")
    count = Parameter("count", type=int, required=True)
    flag = Parameter("flag", default=False)
    table = Parameter("table", type=JSONType, default='{"a": [1]}')
    names = Parameter("names", default="a,b", separator=",")
    color = Parameter("color", choices=["red", "green"])
    late = Parameter("late", default=lambda context: context.flow_name + "!")


def test_defaults_types_and_text() -> None:
    values = resolve_parameters(Flow, {"count": "3", "flag": "True"})
    assert values == {
        "alpha": 0.5,
        "overridden": "text",
        "count": 3,
        "flag": True,
        "table": {"a": [1]},
        "names": ["a", "b"],
        "color": None,
        "late": "Flow!",
    }


def test_values_come_from_the_environment_too() -> None:
    env = {"FLOWSDK_RUN_COUNT": "1", "METAFLOW_RUN_ALPHA": "0.1", "METAFLOW_RUN_COUNT": "9"}
    values = resolve_parameters(Flow, {}, env)
    assert (values["count"], values["alpha"]) == (1, 0.1)
    assert resolve_parameters(Flow, {"count": 2}, env)["count"] == 2


def test_all_errors_at_once() -> None:
    given = {"alpah": 1, "alpha": "2", "flag": "maybe", "color": "gren", "table": "{"}
    with pytest.raises(ParameterError) as caught:
        resolve_parameters(Flow, given)
    lines = str(caught.value).splitlines()
    assert lines == [
        "Parameter 'alpah': flow Flow has none of that name. Did you mean 'alpha'?",
        "Parameter 'alpha': found 2.0, expected at most 1.",
        "Parameter 'count': found no value, expected one: --count VALUE.",
        "Parameter 'flag': found 'maybe', expected bool (neither true nor false).",
        lines[4],
        "Parameter 'color': found 'gren', expected one of 'red', 'green'. Did you mean 'green'?",
    ]
    assert lines[4].startswith("Parameter 'table': found '{', expected JSON")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (int, 3.0, 3),
        (float, 3, 3.0),
        (bool, "no", False),
        (bool, 1, True),
        (str, "", ""),
        (JSONType, [1, {"a": None}], [1, {"a": None}]),
    ],
)
def test_values_of_other_types(kind: object, value: object, expected: object) -> None:
    converted = convert(Parameter("p", type=kind), value)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 3.5),
        (int, "x"),
        (int, True),
        (int, float("inf")),
        (str, 5),
        (float, None),
        (float, "nan"),
        (float, True),
        (JSONType, "NaN"),
        (JSONType, float("nan")),
        (JSONType, {1, 2}),
    ],
)
def test_values_of_wrong_types(kind: object, value: object) -> None:
    with pytest.raises(ParameterError, match="Parameter 'p': found"):
        convert(Parameter("p", type=kind), value)


def test_bad_names_are_all_reported() -> None:
    class Bad(FlowSpec):
        one = Parameter("run-id")
        two = Parameter("a b")
        three = Parameter("x")
        four = Parameter("X")
        five = Parameter("my-x")
        six = Parameter("my_x")
        input = Parameter("input")

    with pytest.raises(ParameterError) as caught:
        collect_parameters(Bad)
    text = str(caught.value)
    line = inspect.getsourcelines(Bad)[1]
    assert text.splitlines() == [
        f"Parameter {what}"
        for what in (
            f"'run-id' (Bad.one, {__file__}:{line + 1}): the command line uses this name itself. "
            "Choose another.",
            f"'a b' (Bad.two, {__file__}:{line + 2}): expected a name of letters, digits, '_' and '-'.",
            f"'X' (Bad.four, {__file__}:{line + 4}): specified twice, also as Bad.three.",
            f"'my_x' (Bad.six, {__file__}:{line + 6}): specified twice, also as Bad.five.",
            f"'input' (Bad.input, {__file__}:{line + 7}): FlowSpec uses self.input itself. Assign "
            "it to another attribute.",
        )
    ]


@pytest.mark.parametrize("name", ["config", "config_value", "Config"])
def test_a_flow_with_configs_has_no_parameter_called_like_their_options(name: str) -> None:
    class Plain(FlowSpec):
        given = Parameter(name, default=1)

    class Configured(Plain):
        settings = Config("settings", default_value="{}")

    class Unset(Configured):
        settings = None

    assert list(collect_parameters(Plain)) == [name]
    assert list(collect_parameters(Unset)) == [name]
    with pytest.raises(ParameterError) as caught:
        collect_parameters(Configured)
    line = inspect.getsourcelines(Plain)[1] + 1
    assert str(caught.value) == (
        f"Parameter '{name}' (Configured.given, {__file__}:{line}): the command line uses this name "
        f"itself. Choose another."
    )


def test_schemas_for_forms() -> None:
    parameters = collect_parameters(Flow)
    assert json_schema(parameters["alpha"]) == {
        "title": "alpha",
        "type": "number",
        "description": "How much.",
        "minimum": 0,
        "maximum": 1,
    }
    assert json_schema(parameters["count"]) == {"title": "count", "type": "integer"}
    assert json_schema(parameters["flag"])["type"] == "boolean"
    assert json_schema(parameters["names"]) == {
        "title": "names",
        "type": "array",
        "items": {"type": "string"},
    }
    assert json_schema(parameters["color"]) == {
        "title": "color",
        "type": ["null", "string"],
        "enum": [None, "red", "green"],
    }
    assert json_schema(parameters["late"])["type"] == ["null", "string"]
    required = Parameter("p", type=int, required=True, default=lambda context: 1)
    assert json_schema(required)["type"] == ["null", "integer"]
    assert json_schema(Parameter("p", type=int, choices=["1", 2], default=1))["enum"] == [1, 2]


def test_declarations_that_cannot_be_are_all_reported() -> None:
    class Bad(FlowSpec):
        a = Parameter("a", type=int, default="x")
        b = Parameter("b", choices=["x"], default="y")
        c = Parameter("c", min=5, max=1, default=3)
        d = Parameter("d", default=object())
        e = Parameter("e", min=1)
        f = Parameter("f", type=int, choices=["x"])
        g = Parameter("g", separator="")
        fine = Parameter("fine", type=int, choices=["1", 2], default=1)

    with pytest.raises(ParameterError) as caught:
        collect_parameters(Bad)
    found = [line.partition("): ")[2] for line in str(caught.value).splitlines()]
    assert found == [
        "found 'x', expected int (invalid literal for int() with base 10: 'x').",
        "found 'y', expected one of 'x'.",
        "found min 5 above max 1.",
        "found type <class 'object'>, expected str, int, float, bool or JSONType.",
        "found min or max and type str, expected a number.",
        "found 'x', expected int (invalid literal for int() with base 10: 'x').",
        "found separator='', expected a text that is not empty.",
    ]


def test_a_default_that_fails_is_reported_with_the_rest() -> None:
    class Failing(FlowSpec):
        a = Parameter("a", default=lambda context: 1 / 0)
        b = Parameter("b", type=int, default=lambda context: "x")
        c = Parameter("c", required=True)

    with pytest.raises(ParameterError) as caught:
        resolve_parameters(Failing, {})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "its default failed with ZeroDivisionError: division by zero" in lines[0]
    assert lines[1].endswith("its default returned 'x', expected int.")
    assert lines[2].startswith("Parameter 'c': found no value")


def test_who_runs_the_flow_is_known_to_defaults() -> None:
    class Mine(FlowSpec):
        user = Parameter("user", default=lambda context: context.user_name)

    assert resolve_parameters(Mine, {}, {"FLOWSDK_USER": "alice"}) == {"user": "alice"}
    assert resolve_parameters(Mine, {}, {"METAFLOW_USER": "bob"}) == {"user": "bob"}


def test_there_is_one_json_type() -> None:
    assert pickle.loads(pickle.dumps(JSONType)) is JSONType


def test_a_parameter_under_another_name() -> None:
    class Renamed(FlowSpec):
        rate = Parameter("learning-rate", default=0.1)

    assert list(collect_parameters(Renamed)) == ["learning-rate"]
    assert Renamed.rate.attribute == "rate"
    env = {"FLOWSDK_RUN_LEARNING_RATE": "0.5"}
    assert resolve_parameters(Renamed, {}, env) == {"learning-rate": 0.5}


def test_the_class_shows_the_parameter_itself() -> None:
    assert Flow.count.name == "count"
    assert repr(Flow.count) == "Parameter('count')"


def test_a_list_must_be_one() -> None:
    with pytest.raises(ParameterError, match="found 5, expected a list"):
        convert(Parameter("p", separator=","), 5)
    with pytest.raises(ParameterError, match="found 3, expected one of 1, 2"):
        convert(Parameter("p", separator=",", type=int, choices=[1, 2]), "1,3")


def test_a_default_that_is_a_function_is_told_all_there_is_to_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: list[ParameterContext] = []

    def default(context: ParameterContext) -> str:
        told.append(context)
        context.logger("computing")
        return context.configs.cfg.name

    class Told(FlowSpec):
        config = Config("cfg", default_value={"name": "from-config"})
        p = Parameter("p", default=default)

    env = {"FLOWSDK_USER": "ada"}
    assert resolve_parameters(Told, {}, env, ds_type="s3") == {"p": "from-config"}
    (context,) = told
    assert (context.flow_name, context.user_name, context.parameter_name) == ("Told", "ada", "p")
    assert context.ds_type == "s3"
    assert context.configs == {"cfg": {"name": "from-config"}}
    assert capsys.readouterr().err == "computing\n"
    assert resolve_parameters(Told, {"p": "given"}, env) == {"p": "given"}
    assert len(told) == 1  # only asked where nothing is given


@pytest.mark.parametrize(
    ("kind", "separator", "good", "bad"),
    [
        (str, None, "a", 1),
        (int, None, 1, "1"),
        (int, None, 1, True),
        (float, None, 1, "1"),
        (bool, None, False, 0),
        (JSONType, None, {"a": [1]}, None),
        (int, ",", "1,2", 7),
        (int, ",", [1, 2], 7),
    ],
)
def test_a_function_must_return_the_parameters_type(
    kind: Any, separator: str | None, good: Any, bad: Any
) -> None:
    def flow(value: Any) -> type[FlowSpec]:
        declared = Parameter("p", type=kind, separator=separator, default=lambda context: value)
        return type("Flow", (FlowSpec,), {"p": declared, "__module__": __name__})

    expected = [1, 2] if separator else good
    assert resolve_parameters(flow(good), {}) == {"p": expected}
    if bad is None:
        return
    with pytest.raises(ParameterFieldTypeMismatch, match=f"its default returned {bad!r}, expected"):
        resolve_parameters(flow(bad), {})


@pytest.mark.parametrize("name", ["required", "show_default"])
def test_only_a_default_may_be_a_function(name: str) -> None:
    declared = Parameter("p", **{name: lambda context: True})  # type: ignore[arg-type]
    flow = type("Flow", (FlowSpec,), {"p": declared, "__module__": __name__})
    with pytest.raises(ParameterError, match=f"found {name}=.*only a default is computed"):
        collect_parameters(flow)


def test_a_separator_must_be_a_text_and_json_has_none() -> None:
    class Odd(FlowSpec):
        a = Parameter("a", separator=lambda context: ",")  # type: ignore[arg-type]
        b = Parameter("b", type=JSONType, separator=",")

    with pytest.raises(ParameterError) as caught:
        collect_parameters(Odd)
    first, second = str(caught.value).splitlines()
    assert "expected a text that is not empty" in first
    assert "JSON, which has lists of its own" in second


def test_choices_in_a_set_have_the_same_order_everywhere() -> None:
    parameter = Parameter("p", choices={"b", "c", "a"})  # type: ignore[arg-type]
    assert parameter.choices == ("a", "b", "c")


def test_a_mismatch_among_other_problems_is_one_of_them() -> None:
    class Both(FlowSpec):
        a = Parameter("a", type=int, default=lambda context: "x")
        b = Parameter("b", required=True)

    with pytest.raises(ParameterError) as caught:
        resolve_parameters(Both, {})
    assert type(caught.value) is ParameterError
    assert len(str(caught.value).splitlines()) == 2
