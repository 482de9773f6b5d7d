"""Where a task goes when its step has ended: what ``self.next`` says, checked against the source."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsdk.exception import InvalidNextException, UnknownCaseException, did_you_mean

if TYPE_CHECKING:
    from flowsdk.flow import FlowSpec
    from flowsdk.graph import Node

#: What ``self.next`` takes besides steps.
KEYWORDS = ("foreach", "num_parallel", "condition", "allow_empty")


@dataclass(frozen=True)
class Transition:
    """What follows a task.

    Attributes:
        next: Names of the steps that follow; of a switch, the one that was chosen.
        foreach: Name of the artifact that is iterated over, or None.
        allow_empty: Whether a foreach over nothing goes straight to its join.
        gang: How many tasks the gang has that follows, or None.
    """

    next: tuple[str, ...] = ()
    foreach: str | None = None
    allow_empty: bool = False
    gang: int | None = None


def called(
    flow: FlowSpec, node: Node, targets: Sequence[Any], how: Mapping[str, Any], where: str
) -> Transition:
    """What a call of ``self.next`` means.

    Args:
        flow: The ``self`` of the step.
        node: The step.
        targets: The call's arguments.
        how: Its keywords.
        where: Place of the call, for messages.

    Raises:
        InvalidNextException: It is not what the source says, or cannot be carried out.
    """
    unknown = sorted(set(how) - set(KEYWORDS))
    if unknown:
        raise InvalidNextException(
            f"self.next() got {', '.join(map(repr, unknown))} ({where}), expected only targets and "
            f"{', '.join(map(repr, KEYWORDS))}.{did_you_mean(unknown[0], KEYWORDS)}"
        )
    is_switch = len(targets) == 1 and isinstance(targets[0], Mapping)
    cases = targets[0] if is_switch else dict(enumerate(targets))
    steps = {case: _step_name(target, where) for case, target in cases.items()}
    said = (
        tuple(dict.fromkeys(steps.values()) if is_switch else steps.values()),
        how.get("foreach"),
        how.get("condition"),
        "num_parallel" in how,
        bool(how.get("allow_empty")),
    )
    read = (node.next, node.foreach, node.condition, node.num_parallel, node.allow_empty)
    if said != read or is_switch != (node.kind == "switch"):
        raise InvalidNextException(
            f"self.next() goes to {', '.join(said[0]) or 'nothing'} ({where}), expected "
            f"{_described(node)} as the source says. Let self.next() be the last statement of the "
            f"step, with the steps written out."
        )
    return _resolved(flow, node, steps, how, where)


def implied(flow: FlowSpec, node: Node, how: Mapping[str, Any] | None = None) -> Transition:
    """What the source says of a step whose code has not come to its ``self.next``.

    Args:
        flow: The ``self`` of the step.
        node: The step.
        how: Keywords of ``self.next`` that replace those in the source, such as another artifact
            for ``foreach``.

    Raises:
        InvalidNextException: The source does not tell enough, or does not allow these keywords.
    """
    given = dict(how or {})
    where = f"step {node.name!r}, {node.file}:{node.next_line or node.line}"
    usual = {"foreach": bool(node.foreach), "allow_empty": bool(node.foreach),
             "condition": bool(node.condition), "num_parallel": node.num_parallel}  # fmt: skip
    foreign = [key for key in given if not usual.get(key)]
    if foreign:
        raise InvalidNextException(
            f"The transition that a decorator has chosen ({where}): found "
            f"{', '.join(map(repr, foreign))}, expected the keywords of the step's own self.next(): "
            f"{', '.join(key for key, has in usual.items() if has) or 'none'}."
        )
    if node.num_parallel and not given:
        raise InvalidNextException(
            f"num_parallel ({where}): the step's code has not run, so that the number of tasks is "
            f"not known. Let the decorator give it: {{'num_parallel': 4}}."
        )
    return _resolved(flow, node, node.cases, given, where)


def _resolved(
    flow: FlowSpec, node: Node, cases: Mapping[Any, str], how: Mapping[str, Any], where: str
) -> Transition:
    if node.kind == "switch":
        condition = how.get("condition", node.condition)
        return Transition((_chosen(flow, condition, cases, where),))
    if node.num_parallel:
        return Transition(node.next, gang=_size(how["num_parallel"], where))
    foreach = how.get("foreach", node.foreach)
    return Transition(node.next, foreach, how.get("allow_empty", node.allow_empty))


def _step_name(target: Any, where: str) -> str:
    name = getattr(target, "__name__", None)
    if name is None or not getattr(target, "is_step", False):
        raise InvalidNextException(
            f"self.next() got {target!r} ({where}), expected steps such as self.end."
        )
    return str(name)


def _chosen(flow: FlowSpec, condition: str, cases: Mapping[Any, str], where: str) -> str:
    """The step of the case that the condition's value names."""
    try:
        value = getattr(flow, condition)
    except AttributeError as error:
        raise InvalidNextException(
            f"condition={condition!r} ({where}): self.{condition} does not exist. Assign it before "
            f"self.next()."
        ) from error
    try:
        return cases[value]
    except (KeyError, TypeError):  # TypeError: a list, say, is no key at all
        raise UnknownCaseException(
            f"condition={condition!r} ({where}): self.{condition} is {value!r}, expected one of the "
            f"cases {', '.join(map(repr, cases))}. Add a case for it, or assign another value."
        ) from None


def _size(value: Any, where: str) -> int:
    """The number of tasks of a gang."""
    try:
        size = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        size = -1
    if size < 1:
        raise InvalidNextException(
            f"num_parallel ({where}): found {value!r}, expected a whole number of tasks, at least 1."
        )
    return size


def _described(node: Node) -> str:
    said = list(node.next)
    said += [f"foreach={node.foreach!r}"] * bool(node.foreach)
    said += ["allow_empty=True"] * node.allow_empty
    said += [f"condition={node.condition!r}"] * bool(node.condition)
    said += ["num_parallel=…"] * node.num_parallel
    return ", ".join(said) or "nothing"
