"""Rules on the shape of a flow as a whole: no loops, all steps reached, splits joined as opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowsdk.graph import FlowGraph, Node
from flowsdk.lint.edges import Edges, walk
from flowsdk.lint.problem import Problem, problem_at, quoted

#: An open split around a step, and the branch of it that the step is in.
Frame = tuple[str, str]
Frames = tuple[Frame, ...]


def shape_problems(graph: FlowGraph) -> Iterator[Problem]:
    """Everything that is seen only by following the transitions from the start."""
    edges = Edges(graph)
    yield from _loops(graph, edges)
    if graph.start is not None:
        yield from _unreachable(graph, edges)
        yield from _Brackets(graph, edges).problems()


def _loops(graph: FlowGraph, edges: Edges) -> Iterator[Problem]:
    """One problem for each set of steps that lead to one another; they become broken."""
    allowed = {name: tuple(t for t in targets if t != graph.start and
                           (t != name or graph[name].kind != "switch"))
               for name, targets in edges.follow.items()}  # fmt: skip
    after = {name: walk(allowed, allowed[name]) for name in _possible_loops(graph, edges)}
    seen: set[str] = set()
    for name, reached in after.items():
        if name not in reached or name in seen:
            continue
        loop = [other for other in graph.nodes if other in reached and name in after.get(other, ())]
        seen.update(loop)
        edges.broken.update(loop)
        back = next(n for n in reversed(loop) if set(allowed[n]) & set(loop[: loop.index(n) + 1]))
        yield problem_at(
            graph[back],
            "cycle",
            f"Step{'s' * (len(loop) > 1)} {quoted(loop)} lead{'s' * (len(loop) == 1)} back to "
            f"{'itself' if len(loop) == 1 else 'one another'}.",
            "Only a switch may go back, and only to its own step.",
            at_next=True,
        )


def _possible_loops(graph: FlowGraph, edges: Edges) -> list[str]:
    """The steps left when all that nothing leads to have been taken away, again and again."""
    waiting = dict.fromkeys(graph.nodes, 0)
    for name, targets in edges.follow.items():
        for target in targets:
            waiting[target] += target != name
    ready = [name for name, count in waiting.items() if not count]
    done = set()
    while ready:
        name = ready.pop()
        if name not in edges.follow[name]:
            done.add(name)
        for target in edges.follow[name]:
            if target != name:
                waiting[target] -= 1
                if not waiting[target]:
                    ready.append(target)
    return [name for name in graph.nodes if name not in done]


def _unreachable(graph: FlowGraph, edges: Edges) -> Iterator[Problem]:
    """Only the first step of a chain that is cut off."""
    broken = bool(edges.broken & edges.reached)
    for node in graph:
        cut_off = node.name not in edges.reached and node.name not in edges.entered
        if cut_off and not (node.name == graph.end and broken):
            yield problem_at(
                node,
                "unreachable",
                f"No way leads from {graph.start!r} to step {node.name!r}.",
                "Name it in the self.next() of the step before it, or remove it.",
            )


class _Brackets:
    """Follows the flow from its start and checks that splits and joins pair up like brackets.

    How it works:
        Every step is seen once, after the steps that lead to it. What is known of a step is which
        splits are open around it and in which branch of each it is. A switch opens nothing: its
        branches meet again in any step.
    What it does not do:
        Report the same split twice, or a split with a branch that is broken anyway.
    """

    def __init__(self, graph: FlowGraph, edges: Edges) -> None:
        assert graph.start is not None
        self._graph = graph
        self._start = graph.start
        self._edges = edges
        self._frames: dict[str, Frames] = {}
        self._settled: set[str] = set()
        self._closed: dict[str, str] = {}

    def problems(self) -> Iterator[Problem]:
        before: dict[str, list[str]] = {name: [] for name in self._graph.nodes}
        for name, targets in self._edges.follow.items():
            for target in targets:
                before[target].append(name)
        for name in _in_order(self._edges, self._start):
            node = self._graph[name]
            arrivals = {p: self._after(p, name) for p in before[name] if p in self._frames}
            ways = list(dict.fromkeys(arrivals.values()))
            if name == self._start:
                self._frames[name] = ()
                if node.is_join:  # nothing can be open before the first step
                    yield from self._join(node, {}, ())
            elif name == self._graph.end:
                self._frames[name] = _common(ways)
            elif node.is_join:
                yield from self._join(node, arrivals, ways)
            else:
                yield from self._meeting(node, arrivals, ways)
        yield from self._end(before)

    def _after(self, parent: str, child: str) -> Frames:
        frames = self._frames[parent]
        opens = self._graph[parent].kind in ("split", "foreach")
        return (*frames, (parent, child)) if opens else frames

    def _meeting(
        self, node: Node, arrivals: dict[str, Frames], ways: Sequence[Frames]
    ) -> Iterator[Problem]:
        """A step without ``inputs``: all ways to it must be in the same branches."""
        self._frames[node.name] = common = _common(ways)
        if len(ways) == 1:
            return
        differ = {split for way in ways for split, _ in way[len(common) :]}
        if not differ <= self._settled:
            yield problem_at(
                node,
                "missing-inputs",
                f"Step {node.name!r} follows {quoted(arrivals)} and takes no 'inputs'.",
                f"A step that follows several steps is a join: def {node.name}(self, inputs).",
            )
        self._settled |= differ

    def _join(
        self, node: Node, arrivals: dict[str, Frames], ways: Sequence[Frames]
    ) -> Iterator[Problem]:
        """A step with ``inputs``: it must be where all branches of one split arrive."""
        if not any(ways):
            self._frames[node.name] = ()
            if node.num_args == 2:
                yield problem_at(
                    node,
                    "split-join",
                    f"Step {node.name!r} is a join and no split is open before it.",
                    "Remove its 'inputs' argument, or split before it.",
                )
            return
        self._frames[node.name] = _common([way[:-1] for way in ways])
        innermost = {way[-1][0] for way in ways if way}
        if not all(ways) or len(innermost) > 1 or len({way[:-1] for way in ways}) > 1:
            if not innermost <= self._settled:
                yield problem_at(
                    node,
                    "split-join",
                    f"Join {node.name!r} is reached from {quoted(arrivals)}, which are not branches of "
                    f"one and the same split.",
                    "Join an inner split first, in a step of its own.",
                )
            self._settled |= innermost
            return
        split = self._graph[innermost.pop()]
        closed_by = self._closed.setdefault(split.name, node.name)
        if closed_by != node.name and split.name not in self._settled:
            self._settled.add(split.name)
            yield problem_at(
                node,
                "split-join",
                f"The split of step {split.name!r} ends in two joins, {closed_by!r} and "
                f"{node.name!r}: each would wait for what goes to the other.",
                "Let all ways from the split end in the same join.",
            )
            return
        arrived = {way[-1][1] for way in ways}
        missing = [step for step in self._edges.follow[split.name] if step not in arrived]
        if (
            missing
            and split.name not in self._settled
            and not self._is_broken(split, missing, node)
        ):
            self._settled.add(split.name)
            yield problem_at(
                node,
                "split-join",
                f"Join {node.name!r} does not join all branches of step {split.name!r} "
                f"({', '.join(split.next)}): it is reached from {', '.join(arrivals)}.",
                "Let every branch of the split, and nothing else, end in the join.",
            )

    def _is_broken(self, split: Node, branches: Sequence[str], join: Node) -> bool:
        """Whether one does not know where these branches of a split lead."""
        inside = walk(self._edges.follow, branches, stop=join.name)
        return split.name in self._edges.broken or bool(inside & self._edges.broken)

    def _end(self, before: dict[str, list[str]]) -> Iterator[Problem]:
        """At the end, no split may be open."""
        end = self._graph.end
        if end is None or end not in self._frames or self._graph[end].is_join:
            return
        for parent in before[end]:
            for split, _ in reversed(self._after(parent, end) if parent in self._frames else ()):
                if split in self._settled:
                    continue
                self._settled.add(split)
                inside = {name for name, frames in self._frames.items()
                          if any(split == other for other, _ in frames)}  # fmt: skip
                if not ({split} | inside) & self._edges.broken:
                    yield problem_at(
                        self._graph[end],
                        "split-join",
                        f"Step {end!r} is reached before the split of step {split!r} is joined.",
                        "Add a join step, def join(self, inputs), before it.",
                    )


def _common(ways: Sequence[Frames]) -> Frames:
    """What all ways begin with."""
    common: list[Frame] = []
    for frames in zip(*ways, strict=False):
        if len(set(frames)) > 1:
            break
        common.append(frames[0])
    return tuple(common)


def _in_order(edges: Edges, start: str) -> list[str]:
    """The steps that ``start`` leads to, each after all that lead to it; loops are cut."""
    finished: dict[str, None] = {}
    entered = {start}
    stack = [(start, iter(edges.follow[start]))]
    while stack:
        name, targets = stack[-1]
        target = next((t for t in targets if t not in entered), None)
        if target is None:
            finished[name] = None
            stack.pop()
        else:
            entered.add(target)
            stack.append((target, iter(edges.follow[target])))
    return list(reversed(finished))
