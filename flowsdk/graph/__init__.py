"""A flow as a graph, read from its source: frozen, without I/O and without running user code.

Whether the graph makes sense is for ``flowsdk.lint`` to say.
"""

from __future__ import annotations

from flowsdk.graph.model import FlowGraph, Kind, Node, Transition

__all__ = ["FlowGraph", "Kind", "Node", "Transition"]
