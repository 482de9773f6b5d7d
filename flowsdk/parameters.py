"""Parameters of a flow: declared as class attributes, given on the command line or by Airflow."""

from __future__ import annotations

import getpass
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowsdk.exception import ParameterError, did_you_mean

#: Options of the command line, which a parameter would hide.
RESERVED_PARAMETERS = frozenset(
    {"params", "with", "tag", "namespace", "obj", "tags", "decospecs", "run-id-file",
     "max-num-splits", "max-workers", "max-log-size", "user-namespace", "run-id", "task-id",
     "runner-attribute-file", "help"}
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_TRUE = {"true", "1", "yes", "y", "on", "t"}
_FALSE = {"false", "0", "no", "n", "off", "f"}


class JSONTypeClass:
    """The type of parameters whose value is any JSON; see ``JSONType``."""

    name = "JSON"

    def __repr__(self) -> str:
        return "JSON"


#: ``Parameter("p", type=JSONType)``: text is parsed as JSON.
JSONType = JSONTypeClass()

_SCHEMA_TYPES: dict[Any, str | list[str]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
}


@dataclass(frozen=True)
class ParameterContext:
    """What a default that is a function is called with.

    Attributes:
        flow_name: Name of the flow.
        user_name: Who runs it.
        parameter_name: Name of the parameter.
    """

    flow_name: str
    user_name: str
    parameter_name: str


class Parameter:
    """A value that a run is given; in steps ``self.<attribute>`` reads it.

    Args:
        name: On the command line (``--name``) and in Airflow's trigger form.
        default: Used if none is given; a function is called with a ParameterContext when a run
            starts.
        type: ``str``, ``int``, ``float``, ``bool`` or ``JSONType``; by default the default's type,
            else ``str``.
        help: Shown with ``run --help`` and in the form.
        required: Whether a run must be given a value.
        show_default: Whether the help shows the default. True by default.
        separator: Split the text at this and make the value a list of ``type``.
        choices: The only values allowed.
        min: The smallest number allowed.
        max: The largest number allowed.
    """

    def __init__(
        self,
        name: str,
        default: Any = None,
        type: Any = None,
        help: str | None = None,
        required: bool | None = None,
        show_default: bool | None = None,
        separator: str | None = None,
        choices: Sequence[Any] | None = None,
        min: float | None = None,
        max: float | None = None,
    ) -> None:
        self.name = name
        self.default = default
        self.type = _type_of(type, default, separator)
        self.help = help
        self.required = bool(required)
        self.show_default = show_default is not False
        self.separator = separator
        self.choices = None if choices is None else tuple(choices)
        self.min = min
        self.max = max
        self.attribute = name

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    def __get__(self, flow: Any, owner: type | None = None) -> Any:
        return self if flow is None else flow._flow_parameter(self.attribute)

    def __repr__(self) -> str:
        return f"Parameter({self.name!r})"


def collect_parameters(flow: type) -> dict[str, Parameter]:
    """The parameters of a flow class and its bases, by name, in the order of their definition.

    Raises:
        ParameterError: Names that are malformed, reserved or used twice; all of them.
    """
    attributes: dict[str, Parameter] = {}
    for base in reversed(flow.__mro__):
        for attribute, value in vars(base).items():
            if isinstance(value, Parameter):
                attributes[attribute] = value
            else:
                attributes.pop(attribute, None)
    problems, found = [], {}
    lower: dict[str, str] = {}
    for attribute, parameter in attributes.items():
        name = parameter.name
        where = f"Parameter {name!r} ({flow.__name__}.{attribute})"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            problems.append(f"{where}: expected a name of letters, digits, '_' and '-'.")
        elif name.lower().replace("_", "-") in RESERVED_PARAMETERS:
            problems.append(f"{where}: the command line uses this name itself. Choose another.")
        elif name.lower() in lower:
            problems.append(f"{where}: specified twice, also as {lower[name.lower()]}.")
        else:
            lower[name.lower()] = f"{flow.__name__}.{attribute}"
            found[name] = parameter
    if problems:
        raise ParameterError("\n".join(problems))
    return found


def convert(parameter: Parameter, value: Any) -> Any:
    """The value of a parameter from text or from JSON, checked.

    Raises:
        ParameterError: It is of another type, not among the choices, or out of range.
    """
    if parameter.separator is not None:
        parts = value.split(parameter.separator) if isinstance(value, str) else list(value)
        converted: Any = [_convert_one(parameter, part) for part in parts]
        checked = converted
    else:
        converted = _convert_one(parameter, value)
        checked = [converted]
    for item in checked:
        _check(parameter, item)
    return converted


def resolve_parameters(
    flow: type, given: Mapping[str, Any], env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The value of every parameter for a run, as JSON values.

    In order: what is given, the environment variable ``FLOWSDK_RUN_<NAME>`` (or
    ``METAFLOW_RUN_<NAME>``), the default.

    Args:
        flow: The flow class.
        given: Values or text by parameter name.
        env: Environment variables.

    Raises:
        ParameterError: Unknown names, missing or wrong values; all of them.
    """
    parameters = collect_parameters(flow)
    problems = [
        f"Parameter {name!r}: flow {flow.__name__} has none of that name."
        f"{did_you_mean(name, parameters)}"
        for name in given
        if name not in parameters
    ]
    values: dict[str, Any] = {}
    for name, parameter in parameters.items():
        try:
            values[name] = _resolve(flow, parameter, given, env or {})
        except ParameterError as error:
            problems.append(str(error))
    if problems:
        raise ParameterError("\n".join(problems))
    return values


def json_schema(parameter: Parameter) -> dict[str, Any]:
    """The JSON schema of a parameter's value, as Airflow's ``Param`` wants it."""
    kind = _SCHEMA_TYPES.get(parameter.type, ["object", "array", "string", "number", "boolean"])
    schema: dict[str, Any] = {"title": parameter.name}
    if parameter.separator is not None:
        schema |= {"type": "array", "items": {"type": kind}}
    else:
        schema["type"] = kind
    if parameter.help:
        schema["description"] = parameter.help
    target = schema["items"] if parameter.separator is not None else schema
    if parameter.choices is not None:
        target["enum"] = list(parameter.choices)
    if parameter.min is not None:
        target["minimum"] = parameter.min
    if parameter.max is not None:
        target["maximum"] = parameter.max
    if not parameter.required and (parameter.default is None or callable(parameter.default)):
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = ["null", *types]
        if "enum" in schema:
            schema["enum"] = [None, *schema["enum"]]
    return schema


def _type_of(kind: Any, default: Any, separator: str | None) -> Any:
    if kind is not None:
        return kind
    if separator is not None or default is None or callable(default):
        return str
    return JSONType if isinstance(default, (dict, list)) else type(default)


def _resolve(
    flow: type, parameter: Parameter, given: Mapping[str, Any], env: Mapping[str, str]
) -> Any:
    name = parameter.name
    variable = name.upper().replace("-", "_")
    # None is how Airflow's form says "nothing given".
    if given.get(name) is not None:
        return convert(parameter, given[name])
    for prefix in ("FLOWSDK_RUN_", "METAFLOW_RUN_"):
        if prefix + variable in env:
            return convert(parameter, env[prefix + variable])
    default = parameter.default
    if callable(default):
        user = os.environ.get("FLOWSDK_USER") or getpass.getuser()
        default = default(ParameterContext(flow.__name__, user, name))
    if default is None:
        if parameter.required:
            raise ParameterError(
                f"Parameter {name!r}: found no value, expected one: --{name} VALUE."
            )
        return None
    return convert(parameter, default)


def _convert_one(parameter: Parameter, value: Any) -> Any:
    kind = parameter.type
    try:
        if kind is JSONType:
            return json.loads(value) if isinstance(value, str) else _plain_json(value)
        if kind is bool:
            return _convert_bool(value)
        if kind is int and isinstance(value, float) and not value.is_integer():
            raise ValueError("not a whole number")  # noqa: TRY004  # reported as one below
        if kind is str and not isinstance(value, str):
            raise TypeError("not text")
        return kind(value)
    except (ValueError, TypeError) as error:
        name = getattr(kind, "__name__", "JSON")
        raise ParameterError(
            f"Parameter {parameter.name!r}: found {value!r}, expected {name} ({error})."
        ) from error


def _plain_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _convert_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("neither true nor false")


def _check(parameter: Parameter, value: Any) -> None:
    where = f"Parameter {parameter.name!r}: found {value!r}, expected"
    if parameter.choices is not None and value not in parameter.choices:
        choices = ", ".join(map(repr, parameter.choices))
        near = did_you_mean(str(value), map(str, parameter.choices))
        raise ParameterError(f"{where} one of {choices}.{near}")
    if parameter.min is not None and value < parameter.min:
        raise ParameterError(f"{where} at least {parameter.min}.")
    if parameter.max is not None and value > parameter.max:
        raise ParameterError(f"{where} at most {parameter.max}.")
