"""Calling a flow's exit hooks when a run has ended."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from flowsdk.decorators.prepare import flow_decorators
from flowsdk.local.run import LocalRun
from flowsdk.runtime.errors import user_traceback


def call_exit_hooks(run: LocalRun, *, succeeded: bool) -> None:
    """Call what ``@exit_hook`` names, in the order in which it is written.

    What a hook raises is told on stderr and changes nothing: the run has ended as it has.

    Args:
        run: The run, which has ended.
        succeeded: How.
    """
    key = "on_success" if succeeded else "on_error"
    hooks = [
        hook
        for decorator in flow_decorators(run.flow, "exit_hook")
        for hook in decorator.attributes[key]
    ]
    if not hooks:
        return
    from flowsdk.client import Run
    from flowsdk.client.selection import looking_at

    with looking_at(run.metadata):
        ended = Run(f"{run.run.flow}/{run.run.run}", _namespace_check=False)
        for hook in hooks:
            try:
                hook(*([ended] if _takes_run(hook) else []))
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a user's function may raise anything
                name = getattr(hook, "__name__", repr(hook))
                sys.stdout.flush()
                sys.stderr.write(f"Exit hook {name} failed:\n{user_traceback(error)}")


def _takes_run(hook: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):  # a builtin need not have one
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD,
                  inspect.Parameter.VAR_POSITIONAL)  # fmt: skip
    return any(parameter.kind in positional for parameter in parameters)
