"""The values of a run's parameters: from text or JSON, from the environment, from defaults."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowsdk.configs.resolving import resolve_configs
from flowsdk.configs.value import ConfigValue
from flowsdk.current_task import current
from flowsdk.exception import ParameterError, ParameterFieldTypeMismatch, did_you_mean
from flowsdk.identity import user_name
from flowsdk.parameters.context import ParameterContext
from flowsdk.parameters.declaration import (
    JSONType,
    Parameter,
    collect_parameters,
    type_name,
)

if TYPE_CHECKING:
    from flowsdk.decorators.project import ProjectSettings

_ENV_PREFIXES = ("FLOWSDK_RUN_", "METAFLOW_RUN_")
_TRUE = {"true", "1", "yes", "y", "on", "t"}
_FALSE = {"false", "0", "no", "n", "off", "f"}


def convert(parameter: Parameter, value: Any) -> Any:
    """The value of a parameter from text or from JSON, checked.

    Raises:
        ParameterError: It is of another type, not among the choices, or out of range.
    """
    if parameter.separator is None:
        converted = convert_one(parameter, value)
        _check(parameter, converted)
        return converted
    parts = value.split(parameter.separator) if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ParameterError(f"Parameter {parameter.name!r}: found {value!r}, expected a list.")
    several = [convert_one(parameter, part) for part in parts]
    for item in several:
        _check(parameter, item)
    return several


def resolve_parameters(
    flow: type,
    given: Mapping[str, Any],
    env: Mapping[str, str] | None = None,
    ds_type: str = "local",
    project: ProjectSettings | None = None,
) -> dict[str, Any]:
    """The value of every parameter for a run, as JSON values.

    In order: what is given, the environment variable ``FLOWSDK_RUN_<NAME>`` (or
    ``METAFLOW_RUN_<NAME>``), the default.

    Args:
        flow: The flow class.
        given: Values or text by parameter name.
        env: Environment variables.
        ds_type: ``local`` or ``s3``: what functions are told of where the run's data lies.
        project: The project and branch of the run, which ``current`` tells functions.

    Raises:
        ParameterError: Unknown names, missing or wrong values, defaults that cannot be computed;
            all of them.
        ParameterFieldTypeMismatch: Nothing is wrong but that functions return other types.
    """
    parameters = collect_parameters(flow)
    problems: list[ParameterError] = [
        ParameterError(
            f"Parameter {name!r}: flow {flow.__name__} has none of that name."
            f"{did_you_mean(name, parameters)}"
        )
        for name in given
        if name not in parameters
    ]
    values: dict[str, Any] = {}
    context = _context(flow, env or {}, ds_type)
    with current._before_a_run(flow.__name__, project.facts(flow.__name__) if project else {}):
        for name, parameter in parameters.items():
            try:
                values[name] = _resolve(parameter, context, given, env or {})
                if values[name] is not None:
                    parameter.verify(flow, values[name])
            except ParameterError as error:
                problems.append(error)
    if problems:
        only_types = all(isinstance(error, ParameterFieldTypeMismatch) for error in problems)
        kind = ParameterFieldTypeMismatch if only_types else ParameterError
        raise kind("\n".join(map(str, problems)))
    return values


def _context(flow: type, env: Mapping[str, str], ds_type: str) -> ParameterContext:
    configs = ConfigValue(resolve_configs(flow))
    return ParameterContext(flow.__name__, user_name(env), "", ds_type=ds_type, configs=configs)


def _resolve(
    parameter: Parameter,
    context: ParameterContext,
    given: Mapping[str, Any],
    env: Mapping[str, str],
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
        default = _computed(parameter, replace(context, parameter_name=name))
    if default is not None:
        return convert(parameter, default)
    if parameter.required:
        raise ParameterError(f"Parameter {name!r}: found no value, expected one: --{name} VALUE.")
    return None


def _computed(parameter: Parameter, context: ParameterContext) -> Any:
    where = f"Parameter {parameter.name!r} ({parameter.location})"
    try:
        value = parameter.default(context)
    except Exception as error:  # a user's function may raise anything
        raise ParameterError(
            f"{where}: its default failed with {type(error).__name__}: {error}."
        ) from error
    if value is None or _is_of_type(parameter, value):
        return value
    several = "" if parameter.separator is None else f", or a list of {type_name(parameter.type)}"
    raise ParameterFieldTypeMismatch(
        f"{where}: its default returned {value!r}, expected {type_name(parameter.type)}{several}."
    )


def _is_of_type(parameter: Parameter, value: Any) -> bool:
    kind = parameter.type
    if kind is JSONType:
        return True  # whether JSON can hold it shows when it is converted
    if parameter.separator is not None:
        return isinstance(value, (str, list, tuple))
    if isinstance(value, bool) or kind is bool:
        return kind is bool and isinstance(value, bool)
    return isinstance(value, (int, float) if kind is float else kind)


def convert_one(parameter: Parameter, value: Any) -> Any:
    """One value, or one element of a list; raises ParameterError."""
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
            f"Parameter {parameter.name!r}: found {value!r}, expected {type_name(kind)} ({error})."
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
    allowed = [convert_one(parameter, choice) for choice in parameter.choices or ()]
    if parameter.choices is not None and value not in allowed:
        choices = ", ".join(map(repr, allowed))
        near = did_you_mean(str(value), map(str, allowed))
        raise ParameterError(f"{where} one of {choices}.{near}")
    if parameter.min is not None and value < parameter.min:
        raise ParameterError(f"{where} at least {parameter.min}.")
    if parameter.max is not None and value > parameter.max:
        raise ParameterError(f"{where} at most {parameter.max}.")
