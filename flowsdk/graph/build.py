"""Building the graph of a flow class."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

from flowsdk.decorators.base import decorators_of
from flowsdk.graph.model import FlowGraph, Node
from flowsdk.graph.source import FunctionSource, sources_of
from flowsdk.graph.transition import read_end
from flowsdk.steps import step_functions

#: A node while it is being put together.
_Fields = dict[str, Any]


def build_graph(flow: type) -> FlowGraph:
    """The graph of a flow class; see ``FlowGraph.from_flow``."""
    functions = step_functions(flow)
    sources = sources_of(functions)
    steps = {name: _read_step(flow, name, functions[name], sources[name]) for name in functions}
    start = _only(steps, "is_start", "start")
    end = _only(steps, "is_end", "end")
    if len(steps) == 1:
        start = end = next(iter(steps))
    _add_parents(steps)
    if start:
        _add_splits(steps, start)
    file, line = _class_place(flow, functions, sources)
    return FlowGraph(
        name=flow.__name__,
        file=file,
        line=line,
        doc=inspect.cleandoc(flow.__doc__ or ""),
        nodes={name: Node(**fields) for name, fields in steps.items()},
        start=start,
        end=end,
        methods=_methods_of(flow).difference(steps),
    )


def _methods_of(flow: type) -> frozenset[str]:
    """Public methods that the flow's author has written."""
    return frozenset(
        name
        for base in flow.__mro__
        if base is not object and base.__module__ != "flowsdk.flow"
        for name, value in vars(base).items()
        if inspect.isfunction(value) and not name.startswith("_")
    )


def _read_step(flow: type, name: str, function: Any, source: FunctionSource) -> _Fields:
    arguments = source.definition.args
    num_args = len(arguments.posonlyargs) + len(arguments.args)
    return {
        "name": name,
        "is_join": num_args > 1,
        "file": source.file,
        "line": source.definition.lineno,
        "doc": inspect.cleandoc(function.__doc__ or ""),
        "num_args": num_args,
        "is_start": function.is_start_step,
        "is_end": function.is_end_step,
        "decorators": tuple(decorator.name for decorator in decorators_of(flow, name)),
        **read_end(source.definition, num_args > 1, flow),
    }


def _add_parents(steps: Mapping[str, _Fields]) -> None:
    for fields in steps.values():
        fields["parents"] = ()
    for name, fields in steps.items():
        for target in dict.fromkeys(fields["next"]):
            if target in steps:
                steps[target]["parents"] += (name,)


def _only(steps: Mapping[str, _Fields], marker: str, default: str) -> str | None:
    marked = [name for name, fields in steps.items() if fields[marker]]
    if len(marked) == 1:
        return marked[0]
    return default if default in steps and not marked else None


def _add_splits(steps: Mapping[str, _Fields], start: str) -> None:
    """Note in every step that can be reached which splits are open around it.

    The first way found into a step decides; that all ways agree is the linter's business.
    """
    todo: list[tuple[str, tuple[tuple[str, str], ...]]] = [(start, ())]
    seen: set[str] = set()
    while todo:
        name, around = todo.pop(0)
        if name in seen or name not in steps:
            continue
        seen.add(name)
        fields = steps[name]
        if fields["is_join"] and around:
            fields["join_of"] = around[-1][0]
            around = around[:-1]
        fields["splits"] = tuple(split for split, _ in around)
        fields["branches"] = tuple(branch for _, branch in around)
        fields["foreaches"] = tuple(s for s, _ in around if steps[s]["kind"] == "foreach")
        opens = fields["kind"] in ("split", "foreach")
        todo += [(t, (*around, (name, t)) if opens else around) for t in fields["next"]]


def _class_place(
    flow: type, functions: Mapping[str, Any], sources: Mapping[str, FunctionSource]
) -> tuple[str, int]:
    """File and line of the class statement; those of a base class's if it has no step of its own."""
    own = [name for name, function in functions.items() if vars(flow).get(name) is function]
    for name in own or functions:
        return sources[name].file, sources[name].class_line or sources[name].definition.lineno
    file = getattr(sys.modules.get(flow.__module__), "__file__", None) or flow.__module__
    try:
        return file, inspect.findsource(flow)[1] + 1
    except (OSError, TypeError):  # no source
        return file, 1
