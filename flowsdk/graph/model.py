"""``FlowGraph`` and ``Node``: what launchers, compilers and the linter know of a flow."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["linear", "split", "foreach", "join", "switch", "end"]
#: What the end of a step looks like: no ``self.next`` at all, one that is not the last statement of
#: the body, one that is not understood, or a proper one.
Transition = Literal["none", "misplaced", "unparsable", "ok"]


@dataclass(frozen=True)
class Node:
    """One step.

    Attributes:
        name: Of the step.
        kind: What its ``self.next`` does; ``join`` if it takes inputs and goes on linearly, ``end``
            if it has no ``self.next``.
        next: The steps it names, in order.
        parents: The steps that name it, in the order of their definition.
        foreach: Name of the artifact iterated over, or None.
        allow_empty: Whether a foreach over nothing goes straight to its join.
        condition: Name of the artifact that a switch looks at, or None.
        cases: Value → step of a switch; the values are text, numbers or booleans.
        num_parallel: Whether the next step is a gang.
        is_join: Whether the step takes ``inputs``.
        join_of: The split or foreach step that this join closes, or None.
        splits: The split and foreach steps open around a task of this step, outermost first, itself
            not counted.
        branches: For each of them, the step by which this one's branch of it begins.
        foreaches: Those of the splits that are foreach steps.
        decorators: Names of the step's decorators, the outermost first.
        file: Where it is defined.
        line: Of its ``def``.
        next_line: Of its ``self.next``, or None.
        doc: Its docstring, or the empty string.
        num_args: Number of its parameters, ``self`` included.
        transition: What the end of the step looks like.
        problem: Why ``self.next`` is not understood; empty if it is.
        mentions: The steps named by a ``self.next`` that is misplaced or not understood.
        is_start: Marked with ``@step(start=True)``.
        is_end: Marked with ``@step(end=True)``.
    """

    name: str
    kind: Kind
    next: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    foreach: str | None = None
    allow_empty: bool = False
    condition: str | None = None
    cases: Mapping[Any, str] = field(default_factory=dict, hash=False)
    num_parallel: bool = False
    is_join: bool = False
    join_of: str | None = None
    splits: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    foreaches: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    next_line: int | None = None
    doc: str = ""
    num_args: int = 1
    transition: Transition = "none"
    problem: str = ""
    mentions: tuple[str, ...] = ()
    is_start: bool = False
    is_end: bool = False


@dataclass(frozen=True)
class FlowGraph:
    """The steps of a flow and how they follow each other.

    Attributes:
        name: Of the flow class.
        file: Where the class is defined.
        line: Of its ``class`` statement.
        doc: Its docstring, or the empty string.
        nodes: The steps by name, in the order of their definition.
        start: Name of the first step, or None if there is none or more than one.
        end: Name of the last step, likewise.
        methods: Names of the public methods that are not steps.
    """

    name: str
    file: str
    line: int
    doc: str
    nodes: Mapping[str, Node] = field(hash=False)
    start: str | None
    end: str | None
    methods: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def __contains__(self, name: object) -> bool:
        return name in self.nodes

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)

    def branch_to(self, parent: str, join: str) -> int:
        """Which branch of the split that ``join`` closes ``parent`` is in, as a position in its ``next``.

        Args:
            parent: A step that names the join.
            join: A step that closes a split or a foreach.
        """
        opener = self.nodes[str(self.nodes[join].join_of)]
        return opener.next.index(self.nodes[parent].branches[-1])

    def join_for(self, opener: str) -> str:
        """The step that closes the split or foreach of ``opener``.

        Raises:
            KeyError: There is none: the flow is ill-formed.
        """
        for node in self:
            if node.join_of == opener:
                return node.name
        raise KeyError(opener)

    def topological(self) -> tuple[Node, ...]:
        """The steps so that each comes after its parents, else in the order of their definition.

        Self-loops are not counted. Steps on a cycle, and what follows them, come last.
        """
        names = list(self.nodes)
        rank = {name: index for index, name in enumerate(names)}
        waiting = {node.name: len(set(node.parents) - {node.name}) for node in self}
        ready = [rank[name] for name, count in waiting.items() if count == 0]
        ordered: dict[str, Node] = {}
        while ready:
            name = names[heapq.heappop(ready)]
            ordered[name] = self.nodes[name]
            for target in dict.fromkeys(self.nodes[name].next):
                if target in waiting and target != name:
                    waiting[target] -= 1
                    if waiting[target] == 0:
                        heapq.heappush(ready, rank[target])
        return tuple({**ordered, **self.nodes}.values())

    def descendants(self, step: str) -> frozenset[str]:
        """Names of all steps that can follow ``step``, itself only if it is on a cycle."""
        found: set[str] = set()
        todo = list(self.nodes[step].next)
        while todo:
            name = todo.pop()
            if name in self.nodes and name not in found:
                found.add(name)
                todo += self.nodes[name].next
        return frozenset(found)

    @classmethod
    def from_flow(cls, flow: type) -> FlowGraph:
        """Read the graph of a flow class, steps of its base classes included.

        An ill-formed flow has a graph too: what is wrong with it is for the linter to say.

        Raises:
            FlowException: The source of a step is not available.
        """
        from flowsdk.graph.build import build_graph

        return build_graph(flow)
