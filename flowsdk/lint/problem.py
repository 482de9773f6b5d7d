"""``Problem``: one finding of the linter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flowsdk.graph import Node


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: Where.
        line: Where.
        step: Name of the step, or the empty string.
        rule: Short name of the rule that is broken.
        message: What was found and what is expected.
        hint: How to fix it.
    """

    file: str
    line: int
    step: str
    rule: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        # Without brackets: Airflow's command line would take them for markup and leave them out.
        return f"{self.file}:{self.line}: {self.rule}: {self.message} {self.hint}".rstrip()


def problem_at(
    node: Node, rule: str, message: str, hint: str = "", *, at_next: bool = False
) -> Problem:
    """A problem of a step, at its ``def`` or at its ``self.next``."""
    line = (node.next_line if at_next else None) or node.line
    return Problem(node.file, line, node.name, rule, message, hint)


def quoted(names: Iterable[str]) -> str:
    """``'a', 'b'``."""
    return ", ".join(repr(name) for name in names)
