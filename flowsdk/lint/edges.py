"""Which step leads where, as the flow's author seems to mean it.

A step whose ``self.next`` is missing, misspelt or not understood is a problem of its own. The rules
on the shape of a flow look at the graph with such gaps filled as far as one can guess, so that the
gap is not reported again as an unreachable step or a split that is never joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from flowsdk.graph import FlowGraph, Node
from flowsdk.lint.steps import last_steps


class Edges:
    """The transitions of a flow with its gaps filled.

    Attributes:
        follow: Step → the steps it leads to, as far as that can be relied on.
        reached: The steps that can be reached from the start, also by guesses less reliable.
        broken: The steps of which it is not known where they lead.
        entered: The steps that some step leads or seems to lead to, other than itself.
    """

    def __init__(self, graph: FlowGraph) -> None:
        self._graph = graph
        self.follow: dict[str, tuple[str, ...]] = {
            node.name: () if node.name == graph.end else _known(graph, node.next) for node in graph
        }
        self._guessed = {node.name: _known(graph, node.mentions) for node in graph}
        if graph.end is not None:
            # What the end seems to lead to is not unreachable besides.
            self._guessed[graph.end] += _known(graph, graph[graph.end].next)
        self.broken = {
            node.name
            for node in graph
            if (node.transition != "ok" and node.name not in last_steps(graph))
            or graph.start in self.follow[node.name]
        }
        self.entered = _targets(self.follow) | _targets(self._guessed)
        for node in graph:
            self._correct_spelling(node)
        self._reach()
        self._bridge()

    def _correct_spelling(self, node: Node) -> None:
        """Take a target that does not exist for the step with the most similar name.

        It is relied on only where it explains something: the step is a join, or nothing else leads
        to it.
        """
        for target in node.next:
            if target in self._graph:
                continue
            from difflib import get_close_matches  # most flows get by without

            near = get_close_matches(target, self._graph.nodes, n=1)
            guess = near[0] if near else None
            if guess and guess not in (node.name, self._graph.start):
                alone = guess not in self.entered
                self._guessed[node.name] += (guess,)
                self.entered.add(guess)
                if (alone or self._graph[guess].is_join) and node.name not in walk(
                    self.follow, (guess,)
                ):
                    self.follow[node.name] += (guess,)
                    continue
            self.broken.add(node.name)

    def _bridge(self) -> None:
        """If the end is cut off, take a step without ``self.next`` to lead to the step below it."""
        names = list(self._graph.nodes)
        for name, below in pairwise(names):
            if self._graph.end in self.reached:
                return
            silent = self._graph[name].transition == "none" and name in self.reached
            if silent and below not in self.entered:
                self._guessed[name] += (below,)
                self.entered.add(below)
                self._reach()

    def _reach(self) -> None:
        both = {name: (*self.follow[name], *self._guessed[name]) for name in self.follow}
        self.reached = walk(both, () if self._graph.start is None else (self._graph.start,))


def walk(edges: Mapping[str, Iterable[str]], starts: Iterable[str], stop: str = "") -> set[str]:
    """The steps that can be reached from ``starts``, these included, not passing ``stop``."""
    found: set[str] = set()
    todo = list(starts)
    while todo:
        name = todo.pop()
        if name in edges and name not in found and name != stop:
            found.add(name)
            todo += edges[name]
    return found


def _known(graph: FlowGraph, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in graph)


def _targets(edges: Mapping[str, Iterable[str]]) -> set[str]:
    return {target for name, targets in edges.items() for target in targets if target != name}
