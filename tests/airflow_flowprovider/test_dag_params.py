from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_flowprovider.dag_params import dag_params
from flowsdk import FlowSpec, JSONType, Parameter, step
from flowsdk.parameters import resolve_parameters
from tests.airflow_flowprovider.moved import ParamValidationError


class ParameterFlow(FlowSpec):
    text = Parameter("text", default="a", help="What to say.")
    number = Parameter("a-number", default=0.5, min=0, max=1)
    flag = Parameter("flag", default=False)
    table = Parameter("table", default={"a": [1]}, type=JSONType)
    words = Parameter("words", default="a,b", separator=",")
    colour = Parameter("colour", default="red", choices=["red", "green"])
    kinds = Parameter("kinds", default="x", separator=",", choices=["x", "y"])
    optional = Parameter("optional", type=int)
    computed = Parameter("computed", default=lambda context: 7, type=int, required=True)
    needed = Parameter("needed", required=True, type=int)

    @step
    def start(self):
        pass


def params() -> Any:
    return DAG("any", schedule=None, params=dag_params(ParameterFlow)).params


def test_defaults_are_values_of_the_parameters_types() -> None:
    given = params()
    given["needed"] = 1
    assert given.validate() == {
        "text": "a",
        "a-number": 0.5,
        "flag": False,
        "table": {"a": [1]},
        "words": ["a", "b"],
        "colour": "red",
        "kinds": ["x"],
        "optional": None,
        "computed": None,
        "needed": 1,
    }


def test_what_airflow_hands_on_is_what_a_run_takes() -> None:
    given = params()
    given["needed"] = 1
    values = resolve_parameters(ParameterFlow, given.validate(), {})
    assert values["computed"] == 7
    assert values["words"] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 1),
        ("a-number", 1.5),
        ("flag", "perhaps"),
        ("colour", "blue"),
        ("needed", None),
        ("needed", "1"),
        ("words", [1]),
        ("kinds", ["x", "z"]),
    ],
)
def test_airflow_refuses_what_does_not_fit(name: str, value: Any) -> None:
    given = params()
    with pytest.raises(ParamValidationError):
        given[name] = value


def test_a_needed_parameter_has_no_value() -> None:
    with pytest.raises(ParamValidationError, match="No value passed"):
        params().validate()


def test_the_form_explains_a_parameter() -> None:
    schema = params().get_param("text")
    assert schema.schema["title"] == "text"
    assert schema.description == "What to say."
    # What the form offers for selection.
    assert params().get_param("kinds").schema["examples"] == ["x", "y"]
