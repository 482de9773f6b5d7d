"""The JSON schema of a parameter."""

from __future__ import annotations

from typing import Any

from flowsdk.parameters.declaration import Parameter
from flowsdk.parameters.values import convert_one

_TYPES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
#: Of any JSON but null, which has a meaning of its own.
_ANY = ["object", "array", "string", "number", "boolean"]


def json_schema(parameter: Parameter, nullable: bool = False) -> dict[str, Any]:
    """The JSON schema of a parameter's value, as Airflow's ``Param`` wants it.

    It allows None where the run finds the value out: if nothing is required, or if the default is a
    function.

    Args:
        parameter: The parameter.
        nullable: Allow None all the same.
    """
    kind = _TYPES.get(parameter.type, _ANY)
    schema: dict[str, Any] = {"title": parameter.name}
    if parameter.separator is not None:
        schema |= {"type": "array", "items": {"type": kind}}
    else:
        schema["type"] = kind
    if parameter.help:
        schema["description"] = parameter.help
    target = schema["items"] if parameter.separator is not None else schema
    if parameter.choices is not None:
        target["enum"] = [convert_one(parameter, choice) for choice in parameter.choices]
        if parameter.separator is not None:
            # Then Airflow's form offers them for selection.
            schema["examples"] = target["enum"]
    if parameter.min is not None:
        target["minimum"] = parameter.min
    if parameter.max is not None:
        target["maximum"] = parameter.max
    if (
        nullable
        or callable(parameter.default)
        or (parameter.default is None and not parameter.required)
    ):
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = ["null", *types]
        if "enum" in schema:
            schema["enum"] = [None, *schema["enum"]]
    return schema
