"""The values of a flow's Configs: from what is given, from files, or from the run at hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flowsdk.configs.config import Config, collect_configs, identifier, key_of
from flowsdk.configs.value import ConfigValue
from flowsdk.deployment import deployment_of
from flowsdk.exception import ConfigError, did_you_mean
from flowsdk.places import find_file, named_function, not_found

_pinned: dict[str, Any] | None = None


@dataclass(frozen=True)
class Given:
    """What a Config is given.

    Attributes:
        text: To be parsed, or the path of the file that holds it.
        is_path: Whether it is a path.
    """

    text: str
    is_path: bool


def recorded_configs(flow: type) -> dict[str, str]:
    """The values of a flow's Configs by name, as a run keeps them: JSON in the order of their keys."""
    return {name: json.dumps(value) for name, value in resolve_configs(flow).items()}


def pin_configs(values: Mapping[str, str] | None) -> None:
    """Have the Configs of a run that is under way used in this process, whatever files now say.

    Call it before the flow's file is imported.

    Args:
        values: ``RunSpec.configs``; None ends it.
    """
    global _pinned  # noqa: PLW0603  # a process runs tasks of one run
    _pinned = None if values is None else {n: json.loads(text) for n, text in values.items()}


def resolve_configs(flow: type, given: Mapping[str, Given] | None = None) -> Mapping[str, Any]:
    """The value of every Config of a flow, by its name, as JSON values; done once for each class.

    From then on the class attributes, and ``self.<attribute>`` in steps, are the values.

    Args:
        flow: The flow class.
        given: What the command line gives, by name. If it is not None, Configs that have been
            resolved before are resolved anew.

    Raises:
        ConfigError: Configs that are missing, unknown or cannot be read; all of them.
    """
    known: Mapping[str, Any] | None = flow.__dict__.get("_flow_configs")
    if known is not None and given is None:
        return known
    configs = collect_configs(flow)
    problems = _unknown(flow, given or {}, configs)
    wanted = {key_of(name): what for name, what in (given or {}).items()}
    values: dict[str, Any] = {}
    for config in configs.values():
        try:
            values[config._name] = _resolve(flow, config, wanted.get(key_of(config._name)), values)
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    visible = {name: _visible(config, values[config._name]) for name, config in configs.items()}
    type.__setattr__(flow, "_flow_configs", values)
    type.__setattr__(flow, "_flow_config_values", visible)
    return values


def config_values(flow: type) -> dict[str, Any]:
    """The values as steps and expressions see them, by attribute and by name.

    Raises:
        ConfigError: As :func:`resolve_configs`.
    """
    resolve_configs(flow)
    visible: dict[str, Any] = flow.__dict__["_flow_config_values"]
    by_name = {
        identifier(config._name): visible[attribute]
        for attribute, config in collect_configs(flow).items()
    }
    return {**by_name, **visible}


def _unknown(flow: type, given: Mapping[str, Given], configs: Mapping[str, Config]) -> list[str]:
    names = {key_of(config._name): config._name for config in configs.values()}
    return [
        f"Config {name!r} (command line): flow {flow.__name__} has none of that name, found "
        f"{', '.join(names.values()) or 'no Config at all'}.{did_you_mean(name, names.values())}"
        for name in given
        if key_of(name) not in names
    ]


def _visible(config: Config, value: Any) -> Any:
    return ConfigValue(value) if isinstance(value, dict) and not config._plain else value


def _resolve(flow: type, config: Config, given: Given | None, so_far: Mapping[str, Any]) -> Any:
    if _pinned is not None and config._name in _pinned:
        return _pinned[config._name]
    if given is not None:
        if not given.is_path:
            return _parsed(config, given.text, f"--config-value {config._name}")
        return _from_file(flow, config, given.text, f"--config {config._name}")
    if (deployed := deployment_of(flow).configs.get(config._name)) is not None:
        return json.loads(deployed)
    default = _called(flow, config, config._default, so_far)
    fallback = config._default_value
    if default is not None and (fallback is None or find_file(flow, default) is not None):
        return _from_file(flow, config, default, "its default")
    value = _called(flow, config, fallback, so_far)
    if value is not None:
        return _parsed(config, value, "its default_value")
    if config._required:
        raise _error(
            config,
            f"found no value, expected one: --config {config._name} FILE or --config-value "
            f"{config._name} JSON, before the command.",
        )
    return None


def _called(flow: type, config: Config, default: Any, so_far: Mapping[str, Any]) -> Any:
    if not callable(default):
        return default
    from flowsdk.parameters import ParameterContext

    context = ParameterContext.of(flow, config._name, configs=ConfigValue(so_far))
    return _guarded(config, "its default", lambda: default(context))


def _from_file(flow: type, config: Config, path: str, origin: str) -> Any:
    file = find_file(flow, path)
    if file is None:
        raise _error(config, f"{origin} is {path!r}, {not_found(flow, path)}")
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise _error(config, f"{origin}, {file}, cannot be read ({error}).") from error
    return _parsed(config, text, str(file))


def _parsed(config: Config, value: Any, origin: str) -> Any:
    if isinstance(value, str):
        text, given = value, config._parser
        if given is None:
            value = _json(config, text, origin)
        else:
            parser = _parser(config, given)
            value = _guarded(config, f"{origin}, given to its parser,", lambda: parser(text))
    return _checked(config, value, origin)


def _parser(config: Config, given: str | Callable[[str], Any]) -> Callable[[str], Any]:
    try:
        parser = named_function(given)
    except Exception as error:  # importing a user's module may raise anything
        raise _error(
            config,
            f"its parser {given!r} cannot be imported ({type(error).__name__}: {error}), expected a "
            f"function or its name, 'package.module.function'.",
        ) from error
    if not callable(parser):
        raise _error(config, f"its parser is {parser!r}, expected a function of the text.")
    return parser


def _guarded(config: Config, origin: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # a user's function may raise anything
        raise _error(config, f"{origin} failed with {type(error).__name__}: {error}") from error


def _json(config: Config, text: str, origin: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _error(
            config, f"{origin} is not JSON ({error}). For another format pass parser=…."
        ) from error


def _checked(config: Config, value: Any, origin: str) -> Any:
    if not isinstance(value, Mapping) and not config._plain:
        raise _error(
            config, f"{origin} gives {value!r}, expected a dict. Pass plain=True for other values."
        )
    where = _not_json(value, config._name)
    if where:
        raise _error(config, f"{origin}: {where}. Let the parser make it a text or a number.")
    return _plain(value)


def _not_json(value: Any, path: str) -> str:
    """The first member that JSON cannot hold, in words; empty if there is none."""
    if isinstance(value, Mapping):
        bad = next((key for key in value if not isinstance(key, str)), None)
        if bad is not None:
            return f"{path} has the key {bad!r}, expected texts"
        return next(filter(None, (_not_json(v, f"{path}.{k}") for k, v in value.items())), "")
    if isinstance(value, (list, tuple)):
        return next(filter(None, (_not_json(v, f"{path}[{i}]") for i, v in enumerate(value))), "")
    if isinstance(value, float) and not math.isfinite(value):
        return f"{path} is {value}, and JSON has no such number"
    if value is None or isinstance(value, (str, int, float)):
        return ""
    return f"{path} is a {type(value).__name__}, and JSON has no such value"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(element) for element in value]
    return value


def _error(config: Config, message: str) -> ConfigError:
    return ConfigError(f"Config {config._name!r} ({config._location}): {message}")
