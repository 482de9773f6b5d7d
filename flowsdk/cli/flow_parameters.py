"""The parameters of a flow as options of a command."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from flowsdk.flow import FlowSpec
from flowsdk.include_file import IncludeFile
from flowsdk.parameters import Parameter, collect_parameters
from flowsdk.parameters.declaration import JSONType

#: Keeps the parameters apart from the command's own options among the parsed words.
_PREFIX = "parameter:"
_METAVARS: dict[Any, str] = {
    str: "TEXT", int: "INT", float: "FLOAT", bool: "TRUE|FALSE", JSONType: "JSON"
}  # fmt: skip
#: More choices than these are named when a value is refused.
_CHOICES_SHOWN = 10


def add_parameters(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> set[str]:
    """Add an option for each parameter of the flow. Returns their names."""
    found = collect_parameters(flow)
    group = parser.add_argument_group("parameters of the flow") if found else parser
    for name, parameter in found.items():
        group.add_argument(
            f"--{name}",
            dest=f"{_PREFIX}{name}",
            default=argparse.SUPPRESS,
            metavar=_metavar(parameter),
            help=_help(parameter).replace("%", "%%"),
        )
    return set(found)


def given_parameters(args: argparse.Namespace) -> dict[str, str]:
    """The parameters that were given, as text."""
    return {
        name.removeprefix(_PREFIX): value
        for name, value in vars(args).items()
        if name.startswith(_PREFIX)
    }


def _metavar(parameter: Parameter) -> str:
    if isinstance(parameter, IncludeFile):
        return "FILE"
    kind = _METAVARS.get(parameter.type, "VALUE")
    return f"{kind}{parameter.separator}..." if parameter.separator else kind


def _help(parameter: Parameter) -> str:
    facts = "; ".join(_facts(parameter))
    return f"{parameter.help or ''}{f' ({facts})' if facts else ''}".strip()


def _facts(parameter: Parameter) -> Iterator[str]:
    """What its values can be, and which it has if none is given."""
    if parameter.choices is not None:
        shown = [str(choice) for choice in parameter.choices[:_CHOICES_SHOWN]]
        more = ["..."] if len(parameter.choices) > _CHOICES_SHOWN else []
        yield f"one of {', '.join([*shown, *more])}"
    low, high = parameter.min, parameter.max
    if low is not None and high is not None:
        yield f"{low} to {high}"
    elif low is not None or high is not None:
        yield f"at least {low}" if high is None else f"at most {high}"
    if parameter.required:
        yield "required"
    elif parameter.default is not None and parameter.show_default:
        yield f"default: {_default(parameter)}"


def _default(parameter: Parameter) -> str:
    """The default as it would be written on the command line."""
    default = parameter.default
    if callable(default):
        return "computed when the run starts"
    if parameter.type is JSONType and not isinstance(default, str):
        return json.dumps(default, ensure_ascii=False)
    if parameter.separator is not None and isinstance(default, (list, tuple)):
        return parameter.separator.join(str(part) for part in default)
    return str(default)
