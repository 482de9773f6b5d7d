"""``--config`` and ``--config-value`` of a flow's command line."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence

from flowsdk.configs.config import Config, collect_configs, key_of
from flowsdk.configs.resolving import Given, resolve_configs
from flowsdk.exception import ConfigError

_OPTIONS = {"--config": True, "--config-value": False}
#: Without a prefix; a JSON object of names and files, or of names and values.
_VARIABLES = {"FLOW_CONFIG": True, "FLOW_CONFIG_VALUE": False}
_PREFIXES = ("FLOWSDK_", "METAFLOW_")


def add_config_options(parser: argparse.ArgumentParser, flow: type) -> None:
    """Add the options, if the flow has Configs; they come before the command."""
    configs = collect_configs(flow)
    if not configs:
        return
    about = "; ".join(filter(None, map(_described, configs.values())))
    group = parser.add_argument_group("configs of the flow", about)
    _add(group)


def take_config_options(
    flow: type, words: Sequence[str], env: Mapping[str, str] = os.environ
) -> None:
    """Resolve a flow's Configs with what the command line gives.

    Call it before anything asks for the flow's graph, decorators or parameters.

    Args:
        flow: The flow class.
        words: The command line.
        env: ``FLOWSDK_FLOW_CONFIG`` and ``FLOWSDK_FLOW_CONFIG_VALUE`` (or ``METAFLOW_…``) give
            files and values to Configs that the options give nothing.

    Raises:
        ConfigError: As :func:`~flowsdk.configs.resolving.resolve_configs`, or a Config is given
            both a file and a value.
    """
    if not collect_configs(flow):
        return
    reader = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    _add(reader)
    try:
        args, _ = reader.parse_known_args(list(words))
    except argparse.ArgumentError as error:
        raise ConfigError(f"Command line: {error}.") from error
    given: dict[str, Given] = _from_environment(env)
    seen: dict[str, bool] = {}
    for option, is_path in _OPTIONS.items():
        for name, text in getattr(args, option.strip("-").replace("-", "_")):
            if seen.setdefault(key_of(name), is_path) is not is_path:
                raise ConfigError(
                    f"Config {name!r} (command line): found both --config and --config-value, "
                    f"expected one of them."
                )
            for other in [other for other in given if key_of(other) == key_of(name)]:
                del given[other]
            given[name] = Given(text, is_path)
    if given:
        resolve_configs(flow, given)
        type.__setattr__(flow, "_flow_configs_given", True)


def configs_given(flow: type) -> bool:
    """Whether the command line or the environment has given a flow's Configs a value."""
    return bool(flow.__dict__.get("_flow_configs_given"))


def _add(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--config", nargs=2, action="append", default=[],
                        metavar=("NAME", "FILE"), help="read a Config from a file")  # fmt: skip
    parser.add_argument("--config-value", nargs=2, action="append", default=[],
                        metavar=("NAME", "JSON"), help="give a Config its value")  # fmt: skip


def _described(config: Config) -> str:
    default = config._default if config._default is not None else config._default_value
    text = f"{config._name}: {config._help}" if config._help else config._name
    if config._show_default and default is not None and not callable(default):
        return f"{text} (default: {default})"
    return text


def _from_environment(env: Mapping[str, str]) -> dict[str, Given]:
    given: dict[str, Given] = {}
    for suffix, is_path in _VARIABLES.items():
        variable = next((p + suffix for p in _PREFIXES if p + suffix in env), None)
        if variable is None:
            continue
        try:
            values = json.loads(env[variable])
            entries = values.items()
        except (ValueError, AttributeError) as error:
            raise ConfigError(
                f"Environment variable {variable}: found {env[variable]!r}, expected a JSON object "
                f"of the names of Configs."
            ) from error
        for name, value in entries:
            given[name] = Given(value if isinstance(value, str) else json.dumps(value), is_path)
    return given
