"""Parameters of a flow: declared as class attributes, given on the command line or by Airflow."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowsdk.exception import ParameterError, did_you_mean
from flowsdk.identity import user_name

#: Options of the command line, which a parameter would hide.
RESERVED_PARAMETERS = frozenset(
    {"params", "with", "tag", "namespace", "obj", "tags", "decospecs", "run-id-file",
     "max-num-splits", "max-workers", "max-log-size", "user-namespace", "run-id", "task-id",
     "runner-attribute-file", "help"}
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ENV_PREFIXES = ("FLOWSDK_RUN_", "METAFLOW_RUN_")
_TRUE = {"true", "1", "yes", "y", "on", "t"}
_FALSE = {"false", "0", "no", "n", "off", "f"}


class JSONTypeClass:
    """The type of parameters whose value is any JSON; see ``JSONType``."""

    name = "JSON"

    def __repr__(self) -> str:
        return "JSON"

    def __reduce__(self) -> str:
        return "JSONType"  # there is only one, and code compares with ``is``


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
        frame = sys._getframe(1)
        #: ``file:line`` of the declaration, for messages.
        self.location = f"{frame.f_code.co_filename}:{frame.f_lineno}"

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    def __get__(self, flow: Any, owner: type | None = None) -> Any:
        return self if flow is None else flow._flow_parameter(self.attribute)

    def __repr__(self) -> str:
        return f"Parameter({self.name!r})"


def collect_parameters(flow: type) -> dict[str, Parameter]:
    """The parameters of a flow class and its bases, by name, in the order of their definition.

    Raises:
        ParameterError: Names that are malformed, reserved or used twice, defaults and choices that
            the parameter would refuse; all of them.
    """
    attributes: dict[str, Parameter] = {}
    for base in reversed(flow.__mro__):
        for attribute, value in vars(base).items():
            if isinstance(value, Parameter):
                attributes[attribute] = value
            else:
                attributes.pop(attribute, None)
    problems: list[str] = []
    found: dict[str, Parameter] = {}
    taken: dict[str, str] = {}
    for attribute, parameter in attributes.items():
        wrong = _name_problem(parameter.name, attribute, taken) or _declaration_problem(parameter)
        if wrong:
            where = f"{flow.__name__}.{attribute}, {parameter.location}"
            problems.append(f"Parameter {parameter.name!r} ({where}): {wrong}")
        else:
            taken[_key(parameter.name)] = f"{flow.__name__}.{attribute}"
            found[parameter.name] = parameter
    if problems:
        raise ParameterError("\n".join(problems))
    return found


def convert(parameter: Parameter, value: Any) -> Any:
    """The value of a parameter from text or from JSON, checked.

    Raises:
        ParameterError: It is of another type, not among the choices, or out of range.
    """
    if parameter.separator is None:
        converted = _convert_one(parameter, value)
        _check(parameter, converted)
        return converted
    parts = value.split(parameter.separator) if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ParameterError(f"Parameter {parameter.name!r}: found {value!r}, expected a list.")
    several = [_convert_one(parameter, part) for part in parts]
    for item in several:
        _check(parameter, item)
    return several


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
        ParameterError: Unknown names, missing or wrong values, defaults that cannot be computed;
            all of them.
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
    """The JSON schema of a parameter's value, as Airflow's ``Param`` wants it.

    It allows None where the run finds the value out: if nothing is required, or if the default is a
    function.
    """
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
        target["enum"] = [_convert_one(parameter, choice) for choice in parameter.choices]
    if parameter.min is not None:
        target["minimum"] = parameter.min
    if parameter.max is not None:
        target["maximum"] = parameter.max
    if callable(parameter.default) or (parameter.default is None and not parameter.required):
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = ["null", *types]
        if "enum" in schema:
            schema["enum"] = [None, *schema["enum"]]
    return schema


def _key(name: str) -> str:
    """What must differ: on the command line case does not count, in variables ``-`` is ``_``."""
    return name.lower().replace("_", "-")


def _name_problem(name: Any, attribute: str, taken: Mapping[str, str]) -> str | None:
    from flowsdk.flow import FlowSpec

    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return "expected a name of letters, digits, '_' and '-'."
    if _key(name) in RESERVED_PARAMETERS:
        return "the command line uses this name itself. Choose another."
    if _key(name) in taken:
        return f"specified twice, also as {taken[_key(name)]}."
    if hasattr(FlowSpec, attribute):
        return f"FlowSpec uses self.{attribute} itself. Assign it to another attribute."
    return None


def _declaration_problem(parameter: Parameter) -> str | None:
    kind, default = parameter.type, parameter.default
    if kind is not JSONType and kind not in _SCHEMA_TYPES:
        return f"found type {kind!r}, expected str, int, float, bool or JSONType."
    bounds = [bound for bound in (parameter.min, parameter.max) if bound is not None]
    if bounds and kind not in (int, float):
        return f"found min or max and type {_type_name(kind)}, expected a number."
    if len(bounds) == 2 and bounds[0] > bounds[1]:
        return f"found min {bounds[0]} above max {bounds[1]}."
    if parameter.separator == "":
        return "found an empty separator, expected a text."
    try:
        for choice in parameter.choices or ():
            _convert_one(parameter, choice)
        if default is not None and not callable(default):
            convert(parameter, default)
    except ParameterError as error:
        return str(error).partition(": ")[2]
    return None


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
    # None is how Airflow's form says "nothing given".
    if given.get(name) is not None:
        return convert(parameter, given[name])
    for prefix in _ENV_PREFIXES:
        variable = prefix + name.upper().replace("-", "_")
        if variable in env:
            return convert(parameter, env[variable])
    default = parameter.default
    if callable(default):
        try:
            default = default(ParameterContext(flow.__name__, user_name(env), name))
        except Exception as error:  # a user's function may raise anything
            raise ParameterError(
                f"Parameter {name!r} ({parameter.location}): its default failed with "
                f"{type(error).__name__}: {error}."
            ) from error
    if default is not None:
        return convert(parameter, default)
    if parameter.required:
        raise ParameterError(f"Parameter {name!r}: found no value, expected one: --{name} VALUE.")
    return None


def _type_name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))


def _convert_one(parameter: Parameter, value: Any) -> Any:
    kind = parameter.type
    try:
        if kind is JSONType:
            return _convert_json(value)
        if kind is bool:
            return _convert_bool(value)
        if isinstance(value, bool):
            raise TypeError("a boolean")
        if kind is str:
            if not isinstance(value, str):
                raise TypeError("not a text")
            return value
        if kind is int:
            if isinstance(value, float) and not value.is_integer():
                raise ValueError("not a whole number")
            return int(value)
        return _finite(float(value))
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"Parameter {parameter.name!r}: found {value!r}, expected {_type_name(kind)} ({error})."
        ) from error


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("not a finite number, and JSON has no other")
    return number


def _convert_json(value: Any) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    text = value if isinstance(value, str) else json.dumps(value, allow_nan=False)
    return json.loads(text, parse_constant=refuse)


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
    allowed = [_convert_one(parameter, choice) for choice in parameter.choices or ()]
    if parameter.choices is not None and value not in allowed:
        choices = ", ".join(map(repr, allowed))
        near = did_you_mean(str(value), map(str, allowed))
        raise ParameterError(f"{where} one of {choices}.{near}")
    if parameter.min is not None and value < parameter.min:
        raise ParameterError(f"{where} at least {parameter.min}.")
    if parameter.max is not None and value > parameter.max:
        raise ParameterError(f"{where} at most {parameter.max}.")
