"""What can be wrong with a flow's graph: every problem, with file and line, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from flowsdk.exception import FlowLintError
from flowsdk.graph import FlowGraph
from flowsdk.lint.decorators import decorator_problems
from flowsdk.lint.problem import Problem
from flowsdk.lint.shape import shape_problems
from flowsdk.lint.steps import RESERVED_STEPS, step_problems

__all__ = ["RESERVED_STEPS", "Problem", "check", "validate"]


def check(graph: FlowGraph, added: Sequence[str] = ()) -> list[Problem]:
    """All problems of a graph, in the order of the source; empty if there are none.

    One mistake is one problem: what only follows from another problem is not reported.

    Args:
        graph: The flow.
        added: Names of the decorators that ``--with`` adds to every step.
    """
    problems = {
        *step_problems(graph),
        *shape_problems(graph),
        *decorator_problems(graph, added),
    }
    # Steps of base classes in other files come after those of the flow's own file.
    return sorted(problems, key=lambda p: (p.file != graph.file, p.file, p.line, p.rule, p.message))


def validate(graph: FlowGraph, added: Sequence[str] = ()) -> None:
    """Raise if there are problems; arguments as of :func:`check`.

    Raises:
        FlowLintError: With all of them.
    """
    problems = check(graph, added)
    if problems:
        raise FlowLintError(problems)
