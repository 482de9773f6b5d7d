"""What the process of a ``Runner`` executes: a flow file, with a command made from keywords.

The command line of a flow depends on its parameters, so only the process that has imported the flow
can say what a keyword means.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

from flowsdk.cli.ending import exit_code
from flowsdk.exception import UsageError, did_you_mean
from flowsdk.flow import FlowSpec
from flowsdk.runner.words import command_words
from flowsdk.runtime.orphans import end_with


def main(plan_file: str) -> None:
    """Execute a flow file as ``python flow.py …`` does, then exit.

    Args:
        plan_file: JSON with ``flow_file``, ``ends_with`` (id of the parent process if this one is to
            end with it), ``options`` (before the command), ``command`` (its words) and
            ``command_options``.
    """
    plan = json.loads(Path(plan_file).read_text("utf-8"))
    if plan["ends_with"] is not None:
        end_with(plan["ends_with"])
    script = plan["flow_file"]
    sys.argv = [script]

    def start(flow: type[FlowSpec]) -> None:
        FlowSpec._on_main = None
        sys.exit(exit_code(lambda: _execute(flow, plan)))

    FlowSpec._on_main = start
    runpy.run_path(script, run_name="__main__")
    sys.stderr.write(
        f"Flow file ({script}): found no flow that it starts, expected, at its end, "
        f"if __name__ == '__main__': MyFlow().\n"
    )
    sys.exit(2)


def _execute(flow: type[FlowSpec], plan: dict[str, Any]) -> int:
    from flowsdk.cli.flow import main as command_line_of

    return command_line_of(flow, _words(flow, plan))


def _words(flow: type[FlowSpec], plan: dict[str, Any]) -> list[str]:
    """The command line that the plan asks for."""
    from flowsdk.cli.flow import command_line
    from flowsdk.configs.options import take_config_options
    from flowsdk.parameters import collect_parameters

    line = command_line(flow)
    before = command_words(line.parser, plan["options"], "before the command")
    take_config_options(flow, before)  # they may change what parameters there are
    name, *more = plan["command"]
    parser = line.parser_of(name)
    for word in more:
        if word not in parser.subparsers:
            raise UsageError(
                f"Command {name}: found {word!r}, expected one of {', '.join(parser.subparsers)}."
                f"{did_you_mean(word, parser.subparsers)}"
            )
        parser = parser.subparsers[word]
    separators = {
        alias: parameter.separator
        for parameter in collect_parameters(flow).values()
        if parameter.separator is not None
        for alias in (parameter.name, parameter.name.replace("-", "_"))
    }
    where = " ".join(plan["command"])
    return [
        *before,
        *plan["command"],
        *command_words(parser, plan["command_options"], where, separators),
    ]
