"""``python flow.py resume``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from flowsdk.cli.run import add_run_options, carry_out, options_of
from flowsdk.exception import ConfigError, UsageError
from flowsdk.flow import FlowSpec
from flowsdk.local.resume import resume
from flowsdk.parameters import collect_parameters


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:
    """The step to resume from, and the options of ``run`` but for the parameters."""
    parser.add_argument("step", nargs="?", default=None, metavar="STEP",
                        help="run this step and everything after it again (default: what has not "
                        "succeeded)")  # fmt: skip
    parser.add_argument("--origin-run-id", default=None, metavar="RUN",
                        help="the run to resume, also one under Airflow (default: the newest run "
                        "of a laptop)")  # fmt: skip
    add_run_options(parser)
    try:
        parameters = collect_parameters(flow)
    except ConfigError:  # a Config may have no value here: those of the resumed run will be taken
        return
    for name in parameters:
        option = f"--{name}"
        if option not in parser._option_string_actions:
            # A place of its own among what is parsed: a parameter may be called as an option is.
            parser.add_argument(option, action=_Refuse, dest=f"refused:{name}",
                                help=argparse.SUPPRESS)  # fmt: skip


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Resume a run; 0 if the new one succeeded, 1 if it failed.

    Raises:
        UsageError: There is no such run or step, or a Config is given.
    """
    if getattr(args, "config", None) or getattr(args, "config_value", None):
        raise UsageError(
            "--config (command line): found a value, expected none: the Configs of a resumed run are "
            "those of the run that it resumes. Start a new run to change them."
        )
    return carry_out(
        args,
        lambda on_lines: resume(
            flow, options_of(args), on_lines, origin_run=args.origin_run_id, step=args.step
        ),
    )


class _Refuse(argparse.Action):
    """Refuses a parameter by a message of its own."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002  # argparse's signature
        values: str | Sequence[Any] | None,  # noqa: ARG002
        option_string: str | None = None,
    ) -> NoReturn:
        parser.error(
            f"{option_string}: the parameters of a resumed run are those of the run that it resumes. "
            f"Start a new run to change them"
        )
