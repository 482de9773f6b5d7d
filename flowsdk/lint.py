"""What can be wrong with a flow's graph: every problem, with file and line, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from flowsdk.exception import FlowLintError, did_you_mean
from flowsdk.graph import FlowGraph, Node

#: Names that FlowSpec itself uses.
RESERVED_STEPS = frozenset(
    {"name", "next", "input", "index", "cmd", "foreach_stack", "merge_artifacts"}
)
_STEP_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


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
        return f"{self.file}:{self.line}: [{self.rule}] {self.message} {self.hint}".rstrip()


def check(graph: FlowGraph) -> list[Problem]:
    """All problems of a graph, in the order of the source; empty if there are none.

    A rule that cannot be judged because of another problem stays silent: one mistake is one problem.
    """
    problems = {problem for rule in _RULES for problem in rule(graph)}
    return sorted(problems, key=lambda p: (p.file, p.line, p.rule, p.message))


def validate(graph: FlowGraph) -> None:
    """Raise if there are problems.

    Raises:
        FlowLintError: With all of them.
    """
    problems = check(graph)
    if problems:
        raise FlowLintError(problems)


def _at(node: Node, rule: str, message: str, hint: str = "", line: int | None = None) -> Problem:
    return Problem(node.file, line or node.line, node.name, rule, message, hint)


# -- names


def _reserved_names(graph: FlowGraph) -> Iterator[Problem]:
    for node in graph:
        if node.name in RESERVED_STEPS:
            yield _at(
                node,
                "reserved-name",
                f"A step is called {node.name!r}, a name that FlowSpec uses itself.",
                "Rename the step.",
            )


def _step_names(graph: FlowGraph) -> Iterator[Problem]:
    for node in graph:
        if not _STEP_NAME.fullmatch(node.name):
            yield _at(
                node,
                "step-name",
                f"A step is called {node.name!r}, expected only a-z, 0-9 and _, not _ at first.",
                "Rename the step.",
            )


# -- start and end


def _has_start_and_end(graph: FlowGraph) -> Iterator[Problem]:
    for which, found, marker in (("start", graph.start, "is_start"), ("end", graph.end, "is_end")):
        marked = [node for node in graph if getattr(node, marker)]
        if len(marked) > 1:
            yield _at(
                marked[1],
                f"{which}-step",
                f"Steps {', '.join(repr(n.name) for n in marked)} are all marked as {which}.",
                f"Mark one with @step({which}=True).",
            )
        elif found is None:
            hint = did_you_mean(which, graph.nodes).strip()
            yield Problem(
                graph.file,
                graph.line,
                "",
                f"{which}-step",
                f"Flow {graph.name} has no {which} step.",
                hint or f"Add a step called {which!r}, or mark one with @step({which}=True).",
            )
        elif marked and which in graph.nodes and marked[0].name != which:
            yield _at(
                marked[0],
                f"{which}-step",
                f"Step {marked[0].name!r} is marked as {which} and there is a step {which!r} too.",
                "Remove the mark or rename the other step.",
            )


def _nothing_before_start(graph: FlowGraph) -> Iterator[Problem]:
    if graph.start is None:
        return
    start = graph[graph.start]
    for name in start.parents:
        yield _at(
            graph[name],
            "start-step",
            f"Step {name!r} goes to {start.name!r}, where the flow begins.",
            "Let it go to another step.",
            graph[name].next_line,
        )


def _end_is_the_end(graph: FlowGraph) -> Iterator[Problem]:
    if graph.end is None:
        return
    end = graph[graph.end]
    if end.transition != "none":
        yield _at(
            end,
            "end-step",
            f"Step {end.name!r} is the end of the flow and calls self.next().",
            "Remove the call.",
            end.next_line,
        )
    if end.is_join:
        yield _at(
            end,
            "end-step",
            f"Step {end.name!r} is the end of the flow and a join.",
            "Add a join step before it.",
        )


# -- transitions


def _number_of_arguments(graph: FlowGraph) -> Iterator[Problem]:
    for node in graph:
        if node.num_args == 0:
            yield _at(
                node,
                "arguments",
                f"Step {node.name!r} takes no argument, expected 'self'.",
                f"Write def {node.name}(self).",
            )
        elif node.num_args > 2:
            yield _at(
                node,
                "arguments",
                f"Step {node.name!r} takes {node.num_args} arguments, expected 'self', and 'inputs' "
                f"in a join.",
            )
        elif node.is_join and node.kind in ("split", "foreach", "switch"):
            yield _at(
                node,
                "join-and-split",
                f"Step {node.name!r} is a join and a {node.kind} at once.",
                "Add a new step so that split and join become separate steps.",
            )


def _every_step_goes_on(graph: FlowGraph) -> Iterator[Problem]:
    for node in graph:
        if node.name == graph.end or (len(graph) == 1 and node.transition == "none"):
            continue
        if node.transition == "none":
            yield _at(
                node,
                "missing-next",
                f"Step {node.name!r} does not call self.next().",
                "End it with self.next(…) and the step that follows.",
            )
        elif node.transition == "misplaced":
            yield _at(
                node,
                "missing-next",
                f"Step {node.name!r} calls self.next() somewhere else than in its last statement.",
                "Make self.next(…) the last statement of the step, outside of if, for and with.",
                node.next_line,
            )
        elif node.transition == "unparsable":
            yield _at(
                node,
                "invalid-next",
                f"The self.next() of step {node.name!r} is not understood.",
                "Expected self.next(self.a), self.next(self.a, self.b), self.next(self.a, "
                'foreach="x"), self.next(self.a, num_parallel=n) or self.next({"k": self.a, …}, '
                'condition="x"), with literal keys.',
                node.next_line,
            )


def _known_targets(graph: FlowGraph) -> Iterator[Problem]:
    for node in graph:
        for target in node.next:
            if target not in graph:
                yield _at(
                    node,
                    "unknown-step",
                    f"Step {node.name!r} goes to self.{target}, and the flow has no such step.",
                    did_you_mean(target, graph.nodes).strip() or "Add it, or correct the name.",
                    node.next_line,
                )


def _switches(graph: FlowGraph) -> Iterator[Problem]:
    for node in graph:
        if node.kind == "switch" and len(node.next) < 2:
            yield _at(
                node,
                "switch",
                f"The switch of step {node.name!r} has {len(node.next)} different step(s) to go to, "
                f"expected at least 2.",
                line=node.next_line,
            )
        for target in node.next if node.kind == "switch" else ():
            if target in graph and graph[target].is_join:
                yield _at(
                    node,
                    "switch",
                    f"A case of the switch in step {node.name!r} goes directly to join {target!r}.",
                    "Add a step in between that goes to the join in every case.",
                    node.next_line,
                )


# -- the shape as a whole


def _meant(graph: FlowGraph) -> FlowGraph:
    """The graph as its author meant it: misspelt targets corrected, so that one typing error is not
    also an unreachable step and an unjoined split."""
    nodes = {}
    for node in graph:
        targets = []
        for target in node.next:
            near = [] if target in graph else get_close_matches(target, graph.nodes, n=1)
            targets.append(near[0] if near else target)
        nodes[node.name] = replace(node, next=tuple(targets))
    return graph.with_nodes(nodes)


def _no_cycles(graph: FlowGraph) -> Iterator[Problem]:
    for node in graph:
        on_cycle = node.name in graph.descendants(node.name)
        own_loop = node.kind == "switch" and node.name in node.next
        if not on_cycle or (own_loop and _only_own_loop(graph, node)):
            continue
        yield _at(
            node,
            "cycle",
            f"Step {node.name!r} can follow itself.",
            "Only a switch may go back, and only to its own step.",
            node.next_line,
        )


def _only_own_loop(graph: FlowGraph, node: Node) -> bool:
    others = [target for target in node.next if target != node.name and target in graph]
    return all(node.name not in graph.descendants(target) for target in others)


def _reachable(graph: FlowGraph) -> Iterator[Problem]:
    if graph.start is None:
        return
    meant = _meant(graph)
    reached = meant.descendants(graph.start) | {graph.start}
    broken = any(_is_broken(meant, name) for name in reached)
    for node in graph:
        if node.name in reached or (node.name == graph.end and broken):
            continue
        if not any(parent not in reached for parent in meant[node.name].parents):
            yield _at(
                node,
                "unreachable",
                f"No way leads from {graph.start!r} to step {node.name!r}.",
                "Name it in the self.next() of the step before it, or remove it.",
            )


def _is_broken(graph: FlowGraph, name: str) -> bool:
    """Whether it is unknown where a step leads: that is a problem already."""
    node = graph[name]
    ends_well = node.name == graph.end or node.transition == "ok"
    return not ends_well or any(target not in graph for target in node.next)


def _balanced(graph: FlowGraph) -> Iterator[Problem]:
    """Splits and joins close each other like brackets."""
    if graph.start is None or any(_no_cycles(graph)):
        return
    meant = _meant(graph)
    reached = meant.descendants(graph.start) | {graph.start}
    states: dict[str, tuple[str, ...]] = {graph.start: ()}
    for node in meant.topological():
        if node.name not in states:
            continue
        parents = tuple(p for p in node.parents if p in reached and p != node.name)
        node = replace(node, parents=parents)
        open_splits = states[node.name]
        problems = list(_join_problems(meant, node, open_splits))
        yield from problems
        joins = node.is_join or any(problem.rule == "missing-inputs" for problem in problems)
        inside = open_splits[:-1] if joins else open_splits
        if node.name == graph.end and inside and not joins:
            yield _at(
                node,
                "split-join",
                f"Step {node.name!r} is reached before the split of step {inside[-1]!r} is joined.",
                "Add a join step, def join(self, inputs), before it.",
            )
        after = (*inside, node.name) if node.kind in ("split", "foreach") else inside
        for target in node.next:
            if target in meant:
                states.setdefault(target, after)


def _join_problems(
    graph: FlowGraph, node: Node, open_splits: tuple[str, ...]
) -> Iterator[Problem]:
    unconditional = [parent for parent in node.parents if graph[parent].kind != "switch"]
    if not node.is_join:
        if len(unconditional) > 1 and not _exclusive(graph, node):
            yield _at(
                node,
                "missing-inputs",
                f"Step {node.name!r} follows {', '.join(map(repr, unconditional))} and takes no "
                f"'inputs'.",
                f"A step that follows several steps is a join: def {node.name}(self, inputs).",
            )
    elif not open_splits:
        yield _at(
            node,
            "split-join",
            f"Step {node.name!r} is a join and no split is open before it.",
            "Remove its 'inputs' argument, or split before it.",
        )
    else:
        split = graph[open_splits[-1]]
        if split.kind == "foreach" and split.name in node.parents:
            yield _at(
                split,
                "split-join",
                f"The foreach of step {split.name!r} goes directly to join {node.name!r}.",
                "Add a step between them: the foreach needs a body.",
                split.next_line,
            )
        elif split.kind == "split" and not _branches_meet(graph, split, node):
            yield _at(
                node,
                "split-join",
                f"Join {node.name!r} does not join all branches of step {split.name!r} "
                f"({', '.join(split.next)}): it is reached from {', '.join(node.parents)}.",
                "Let every branch of the split, and nothing else, end in the join.",
            )


def _branches_meet(graph: FlowGraph, split: Node, join: Node) -> bool:
    """Whether every branch of a split leads to the join, and only such branches do."""
    if any(not _leads(graph, split.name, parent) for parent in join.parents):
        return False
    for target in split.next:
        ways = {target, *graph.descendants(target)} if target in graph else set()
        if not ways & set(join.parents) and not any(_is_broken(graph, name) for name in ways):
            return False
    return True


def _exclusive(graph: FlowGraph, node: Node) -> bool:
    """Whether at most one of the steps before ``node`` runs: they come from different cases."""
    for switch in (n for n in graph if n.kind == "switch"):
        cases = [
            {p for p in node.parents if p == case or _leads(graph, case, p)}
            for case in switch.next
            if case in graph
        ]
        if set().union(*cases) >= {p for p in node.parents if graph[p].kind != "switch"}:
            return sum(bool(case) for case in cases) > 1
    return False


def _leads(graph: FlowGraph, start: str, end: str) -> bool:
    return end in graph and start in graph and end in graph.descendants(start)


def _parallel_is_joined(graph: FlowGraph) -> Iterator[Problem]:
    for node in graph:
        if not node.num_parallel:
            continue
        for target in node.next:
            if target in graph and not any(
                step in graph and graph[step].is_join for step in graph[target].next
            ):
                yield _at(
                    graph[target],
                    "parallel",
                    f"Step {target!r} runs with num_parallel and is not followed by a join.",
                    "Let it go to a join.",
                )


_RULES: tuple[Callable[[FlowGraph], Iterator[Problem]], ...] = (
    _reserved_names,
    _step_names,
    _has_start_and_end,
    _nothing_before_start,
    _end_is_the_end,
    _number_of_arguments,
    _every_step_goes_on,
    _known_targets,
    _switches,
    _no_cycles,
    _reachable,
    _balanced,
    _parallel_is_joined,
)
