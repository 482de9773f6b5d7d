from __future__ import annotations

import pytest

from flowsdk import FlowSpec, JSONType, Parameter
from flowsdk.exception import ParameterError
from flowsdk.parameters import collect_parameters, convert, json_schema, resolve_parameters


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


@pytest.mark.parametrize(("kind", "value"), [(int, 3.5), (int, "x"), (str, 5), (float, None)])
def test_values_of_wrong_types(kind: object, value: object) -> None:
    with pytest.raises(ParameterError, match="Parameter 'p': found"):
        convert(Parameter("p", type=kind), value)


def test_bad_names_are_all_reported() -> None:
    class Bad(FlowSpec):
        one = Parameter("run-id")
        two = Parameter("a b")
        three = Parameter("x")
        four = Parameter("X")

    with pytest.raises(ParameterError) as caught:
        collect_parameters(Bad)
    text = str(caught.value)
    assert "Parameter 'run-id' (Bad.one): the command line uses this name itself" in text
    assert "Parameter 'a b' (Bad.two): expected a name of letters" in text
    assert "Parameter 'X' (Bad.four): specified twice, also as Bad.three" in text


def test_schemas_for_forms() -> None:
    parameters = collect_parameters(Flow)
    assert json_schema(parameters["alpha"]) == {
        "title": "alpha",
        "type": "number",
        "description": "How much.",
        "minimum": 0,
        "maximum": 1,
    }
    assert json_schema(parameters["count"])["type"] == "integer"
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


def test_the_class_shows_the_parameter_itself() -> None:
    assert Flow.count.name == "count"
    assert repr(Flow.count) == "Parameter('count')"
