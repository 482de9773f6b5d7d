"""Which tasks a step has, given all finished tasks of the steps before it.

The laptop's scheduler follows one task at a time; Airflow launches a step at a time, or the part of a
step that is in one split of the outermost foreach. Both come to the same tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flowsdk.exception import FlowException
from flowsdk.graph import FlowGraph, Node
from flowsdk.planning import frames_of, task_id
from flowsdk.spec import ForeachFrame, TaskRef
from flowsdk.taskset import Outcome

_SHOWN = 5


@dataclass(frozen=True)
class Planned:
    """A task that is to run.

    Attributes:
        parents: The attempts whose artifacts come in; of a join one per input, in input order. A
            join after a foreach over nothing has the task that split.
        foreach: The foreach levels around the task, outermost first.
    """

    parents: tuple[TaskRef, ...] = ()
    foreach: tuple[ForeachFrame, ...] = ()


def planned_tasks(
    graph: FlowGraph, node: Node, outcomes: Mapping[str, Sequence[Outcome]]
) -> list[Planned]:
    """The tasks of a step, ordered by their split indices; none if no task leads to it.

    Args:
        graph: The flow's graph.
        node: The step.
        outcomes: Of the steps in :func:`looked_at`, by step; steps of which nothing ran may be
            missing.

    Raises:
        FlowException: An input of a join is missing.
    """
    if not looked_at(node):
        return [Planned()]
    found = _joins(graph, node, outcomes) if node.is_join else _followers(graph, node, outcomes)
    return sorted(found, key=lambda planned: [frame.index for frame in planned.foreach])


def looked_at(node: Node) -> tuple[str, ...]:
    """The steps whose outcomes say which tasks a step has; empty for the first step.

    Args:
        node: The step. That it follows itself, if it loops, does not count.
    """
    parents = tuple(name for name in node.parents if name != node.name)
    if node.is_join and node.join_of not in parents:
        return (*parents, str(node.join_of))
    return parents


def may_be_skipped(graph: FlowGraph, node: Node) -> bool:
    """Whether a run may have no task of a step, because of a switch or a foreach over nothing.

    Args:
        graph: The flow's graph, without problems.
        node: The step.
    """
    if node.splits:
        opener = graph[node.splits[-1]]
        if opener.allow_empty or may_be_skipped(graph, opener):
            return True
        begin, goal = node.branches[-1], graph.join_for(opener.name)
    else:
        begin, goal = str(graph.start), str(graph.end)
    return node.name not in (begin, goal) and _leads_around(graph, begin, goal, node.name)


def _leads_around(graph: FlowGraph, begin: str, goal: str, avoided: str) -> bool:
    """Whether there is a way from one step to another that does not touch a third."""
    seen, todo = {avoided}, [begin]
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            todo += graph[name].next
    return False


def _followers(
    graph: FlowGraph, node: Node, outcomes: Mapping[str, Sequence[Outcome]]
) -> Iterator[Planned]:
    for name in looked_at(node):
        for outcome in outcomes.get(name, ()):
            if node.name not in outcome.next:
                continue
            places = [None] if outcome.splits is None else range(outcome.splits.count)
            for index in places:
                splits = None if index is None else outcome.splits
                frames = frames_of(graph, node, name, outcome.foreach, splits, index or 0)
                yield Planned((outcome.ref,), frames)


def _joins(
    graph: FlowGraph, node: Node, outcomes: Mapping[str, Sequence[Outcome]]
) -> Iterator[Planned]:
    """One task for each task that has opened the split; its inputs as they lie in the split."""
    opener = graph[str(node.join_of)]
    arrived: dict[str, dict[int, TaskRef]] = {}
    for name in node.parents:
        for outcome in outcomes.get(name, ()):
            if node.name in outcome.next:
                place = frames_of(graph, node, name, outcome.foreach)
                is_foreach = opener.kind == "foreach"
                position = (
                    outcome.foreach[-1].index if is_foreach else graph.branch_to(name, node.name)
                )
                arrived.setdefault(task_id(place), {})[position] = outcome.ref
    missing: list[str] = []
    for outcome in outcomes.get(opener.name, ()):
        expected = len(opener.next) if outcome.splits is None else outcome.splits.count
        inputs = arrived.get(task_id(outcome.foreach), {})
        at = task_id(outcome.foreach)
        missing += [f"{at}[{n}]" for n in range(expected) if n not in inputs]
        # What lies beyond is of an earlier, wider run of the step that split.
        parents = tuple(inputs[n] for n in range(expected) if n in inputs)
        yield Planned(parents or (outcome.ref,), outcome.foreach)
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise FlowException(
            f"Join {node.name!r}: found no finished task for the inputs "
            f"{', '.join(missing[:_SHOWN])}{more} of {opener.name!r} (task[split]), expected one of "
            f"each. Clear those that were skipped or marked as success by hand."
        )
