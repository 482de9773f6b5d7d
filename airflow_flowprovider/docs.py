"""What Airflow's pages say of a flow: its docstring, its steps, its parameters, what it needs.

The same text at every parse of an unchanged file, for it is a part of the DAG. As lists, for Airflow
renders Markdown but no diagrams; a drawing of the DAG is a tab of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_flowprovider.placeholders import stood_in_for
from flowsdk.parameters import Parameter, collect_parameters

if TYPE_CHECKING:
    from flowsdk.graph import FlowGraph, Node


def documentation(flow: type, graph: FlowGraph) -> str:
    """A flow in Markdown.

    Args:
        flow: The flow class.
        graph: Its graph, well-formed.
    """
    parts = [graph.doc, _listed("Steps", _steps(graph))]
    parameters = collect_parameters(flow).values()
    parts.append(_listed("Parameters", map(_parameter, parameters)))
    missing = (f"`{name}` ({Path(place).name})" for name, place in stood_in_for().items())
    needed = "Modules that are needed where the steps run and are not installed for Airflow"
    parts.append(_listed(needed, missing))
    return "\n\n".join(part for part in parts if part)


def markdown(doc: str) -> str | None:
    """A text as Airflow's ``doc_md`` wants it."""
    # Airflow takes text that ends in ".md" for the name of a file.
    return f"{doc}\n" if doc.endswith(".md") else doc or None


def _listed(title: str, entries: Iterator[str]) -> str:
    lines = [f"- {entry}" for entry in entries]
    return "\n".join([f"**{title}**", "", *lines]) if lines else ""


def _steps(graph: FlowGraph) -> Iterator[str]:
    for node in graph.topological():
        decorators = "".join(f" `@{name}`" for name in dict.fromkeys(node.decorators))
        joins = f", joins what `{node.join_of}` splits" if node.join_of else ""
        follows = f" → {_next(node)}" if node.next else ""
        yield f"`{node.name}`{decorators}{joins}{follows}"


def _next(node: Node) -> str:
    if node.kind == "switch":
        cases = ", ".join(f"`{case!r}`: `{step}`" for case, step in node.cases.items())
        return f"by `{node.condition}`, {cases}"
    steps = ", ".join(f"`{step}`" for step in node.next)
    if node.num_parallel:
        return f"{steps} as a gang"
    return f"{steps} for each of `{node.foreach}`" if node.foreach else steps


def _parameter(parameter: Parameter) -> str:
    if callable(parameter.default):
        default = ", worked out when a run starts"
    elif parameter.default is None:
        default = ", required" if parameter.required else ""
    else:
        default = f", `{parameter.default!r}` by default"
    # Of a text over several lines, the first: the rest would end the list.
    help_ = (parameter.help or "").strip().partition("\n")[0]
    return f"`{parameter.name}`{default}{f': {help_}' if help_ else ''}"
