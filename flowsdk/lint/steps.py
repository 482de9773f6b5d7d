"""Rules that look at one step at a time, and at which steps the flow begins and ends with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowsdk.exception import did_you_mean
from flowsdk.graph import FlowGraph, Node
from flowsdk.lint.problem import Problem, problem_at, quoted

#: Names that FlowSpec itself uses.
RESERVED_STEPS = frozenset(
    {"name", "next", "input", "index", "cmd", "foreach_stack", "merge_artifacts"}
)
#: What marks a step of a gang.
GANG_DECORATORS = frozenset({"parallel", "pytorch_parallel"})
_STEP_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_FORMS = (
    "Expected self.next(self.a), self.next(self.a, self.b), self.next(self.a, foreach='x'), "
    "self.next(self.a, num_parallel=n) or self.next({'k': self.a, …}, condition='x')."
)


def step_problems(graph: FlowGraph) -> Iterator[Problem]:
    """Everything that can be said without following the transitions."""
    yield from _start_and_end(graph)
    last = last_steps(graph)
    for node in graph:
        yield from _name(node)
        yield from _arguments(node)
        yield from _transition(graph, node, is_last=node.name in last)
        yield from _targets(graph, node)
        yield from _gang(graph, node)


def last_steps(graph: FlowGraph) -> frozenset[str]:
    """The steps that need no ``self.next``: the end, or those that seem to be meant as the end."""
    if graph.end is not None:
        return frozenset({graph.end})
    marked = [node.name for node in graph if node.is_end]
    silent = [node.name for node in graph if node.transition == "none"]
    return frozenset(marked or silent[-1:])


def _name(node: Node) -> Iterator[Problem]:
    if node.name in RESERVED_STEPS:
        yield problem_at(
            node,
            "reserved-name",
            f"A step is called {node.name!r}, a name that FlowSpec uses itself.",
            "Rename the step.",
        )
    elif not _STEP_NAME.fullmatch(node.name):
        yield problem_at(
            node,
            "step-name",
            f"A step is called {node.name!r}, expected only a-z, 0-9 and _, not _ at first.",
            "Rename the step.",
        )


def _start_and_end(graph: FlowGraph) -> Iterator[Problem]:
    for which, found, marker in (("start", graph.start, "is_start"), ("end", graph.end, "is_end")):
        marked = [node for node in graph if getattr(node, marker)]
        if len(marked) > 1:
            yield problem_at(
                marked[1],
                f"{which}-step",
                f"Steps {quoted(n.name for n in marked)} are all marked as {which}.",
                f"Mark one with @step({which}=True).",
            )
        elif found is None:
            hint = did_you_mean(which, graph.nodes).strip()
            silent = sorted(last_steps(graph)) if which == "end" else []
            if silent and not hint:
                hint = f"Is {silent[0]!r} meant? Mark it with @step(end=True), or rename it 'end'."
            yield Problem(
                graph.file,
                graph.line,
                "",
                f"{which}-step",
                f"Flow {graph.name} has no {which} step.",
                hint or f"Add a step called {which!r}, or mark one with @step({which}=True).",
            )
        elif marked and which in graph.nodes and marked[0].name != which:
            yield problem_at(
                marked[0],
                f"{which}-step",
                f"Step {marked[0].name!r} is marked as {which} and there is a step {which!r} too.",
                "Remove the mark or rename the other step.",
            )


def _arguments(node: Node) -> Iterator[Problem]:
    if node.num_args == 0:
        yield problem_at(
            node,
            "arguments",
            f"Step {node.name!r} takes no argument, expected 'self'.",
            f"Write def {node.name}(self).",
        )
    elif node.num_args > 2:
        yield problem_at(
            node,
            "arguments",
            f"Step {node.name!r} takes {node.num_args} arguments, expected 'self', and 'inputs' in "
            f"a join.",
            "Pass data on by assigning it to self.",
        )
    elif node.is_join and node.kind in ("split", "foreach", "switch"):
        yield problem_at(
            node,
            "join-and-split",
            f"Step {node.name!r} is a join and a {node.kind} at once.",
            "Add a new step so that split and join become separate steps.",
        )


def _transition(graph: FlowGraph, node: Node, *, is_last: bool) -> Iterator[Problem]:
    if node.name == graph.end:
        if node.transition != "none":
            yield problem_at(
                node,
                "end-step",
                f"Step {node.name!r} is the end of the flow and calls self.next().",
                "Remove the call.",
                at_next=True,
            )
        if node.is_join:
            yield problem_at(
                node,
                "end-step",
                f"Step {node.name!r} is the end of the flow and a join.",
                "Add a join step before it.",
            )
    elif node.transition == "none" and not is_last:
        yield problem_at(
            node,
            "missing-next",
            f"Step {node.name!r} does not call self.next().",
            "End it with self.next(…) and the step that follows.",
        )
    elif node.transition == "misplaced":
        yield problem_at(
            node,
            "missing-next",
            f"Step {node.name!r} calls self.next() somewhere else than in its last statement.",
            "Make self.next(…) the last statement of the step, outside of if, for and with.",
            at_next=True,
        )
    elif node.transition == "unparsable":
        yield problem_at(
            node,
            "invalid-next",
            f"The self.next() of step {node.name!r} is not understood. {node.problem}",
            _FORMS,
            at_next=True,
        )


def _targets(graph: FlowGraph, node: Node) -> Iterator[Problem]:
    for target in node.next:
        if target not in graph:
            if target in graph.methods:
                hint = f"There is a method of that name; mark it with @step if {target!r} is one."
            else:
                hint = did_you_mean(target, graph.nodes).strip() or "Add it, or correct the name."
            yield problem_at(
                node,
                "unknown-step",
                f"Step {node.name!r} goes to self.{target}, and the flow has no such step.",
                hint,
                at_next=True,
            )
        elif target == graph.start:
            yield problem_at(
                node,
                "start-step",
                f"Step {node.name!r} goes to {target!r}, where the flow begins.",
                "Let it go to another step.",
                at_next=True,
            )
        elif node.kind == "switch" and graph[target].is_join:
            yield problem_at(
                node,
                "switch",
                f"A case of the switch in step {node.name!r} goes directly to join {target!r}.",
                "Add a step in between that goes to the join in every case.",
                at_next=True,
            )
        elif node.kind in ("split", "foreach") and graph[target].is_join:
            yield problem_at(
                node,
                "split-join",
                f"The {node.kind} of step {node.name!r} goes directly to join {target!r}.",
                "Add a step between them: every branch needs one.",
                at_next=True,
            )
    if node.kind == "switch" and len(node.next) < 2:
        yield problem_at(
            node,
            "switch",
            f"The switch of step {node.name!r} has {len(node.next)} different step(s) to go to, "
            f"expected at least 2.",
            "Add a case, or write self.next(self.<step>).",
            at_next=True,
        )


def _gang(graph: FlowGraph, node: Node) -> Iterator[Problem]:
    """A step with @parallel: num_parallel leads to it, and it leads to a join."""
    marked = bool(GANG_DECORATORS.intersection(node.decorators))
    callers = [graph[parent] for parent in node.parents]
    gangs = [caller.name for caller in callers if caller.num_parallel]
    others = [caller.name for caller in callers if not caller.num_parallel]
    if gangs and not marked:
        yield problem_at(
            node,
            "parallel",
            f"Step {gangs[0]!r} goes to {node.name!r} with num_parallel, and {node.name!r} has no "
            f"@parallel.",
            "Put @parallel above its @step.",
        )
    if marked and (others or node.name == graph.start):
        found = f"step {others[0]!r} goes to it" if others else "the flow begins with it"
        yield problem_at(
            node,
            "parallel",
            f"Step {node.name!r} has @parallel, and {found} without num_parallel.",
            f"Go to it by self.next(self.{node.name}, num_parallel=n), or remove @parallel.",
        )
    if (gangs or marked) and node.transition == "ok" and not _is_joined(graph, node):
        yield problem_at(
            node,
            "parallel",
            f"Step {node.name!r} runs as a gang and does not go straight to a join.",
            "Let it go to a join.",
        )


def _is_joined(graph: FlowGraph, node: Node) -> bool:
    """Whether a step goes to a join and nowhere else; a step that does not exist may be one."""
    follows = [graph[step].is_join for step in node.next if step in graph]
    return node.kind == "linear" and all(follows)
