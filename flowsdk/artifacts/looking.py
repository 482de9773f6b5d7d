"""Which artifacts a step only looks at, by its source: those need not be compared after it.

To see whether a loaded list of a million dicts has changed, it would have to be serialized again.
Where all that a step does with it is ``len(self.rows)`` or ``if self.rows:``, it has not.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from flowsdk.exception import FlowException
from flowsdk.graph.source import sources_of, syntax_tree

#: Builtins that ask a container for no more than its size or kind.
_LOOKS = {"bool", "id", "isinstance", "len", "type"}
#: Code that mentions these may reach an artifact without naming it.
_OPAQUE = {"breakpoint", "eval", "exec", "globals", "locals", "super", "vars"}
#: Where the types come from whose size can be asked for without running anybody's code.
_KNOWN = {"builtins", "collections", "numpy", "pandas", "polars", "pyarrow", "scipy", "torch"}


def untouched(function: Any, flow: type, names: frozenset[str]) -> frozenset[str]:
    """Those of some artifacts that a step cannot have changed.

    Args:
        function: The step's function.
        flow: The flow class.
        names: The artifacts that are asked about.

    Returns:
        None of them where the source does not tell, or is another by now.
    """
    if not names or not isinstance(function, FunctionType) or inspect.unwrap(function) != function:
        return frozenset()
    try:
        definition = sources_of({"": function})[""].definition
    except FlowException:  # a function without source
        return frozenset()
    arguments = [*definition.args.posonlyargs, *definition.args.args]
    if not arguments or not _is_what_ran(function):
        return frozenset()
    touched = set()
    for attribute in _attributes(definition, arguments[0].arg, function, flow):
        if attribute is None:
            return frozenset()
        touched.add(attribute)
    return names - touched


def _is_what_ran(function: FunctionType) -> bool:
    """Whether a function's file still says what has been run: people edit while a flow runs."""
    text = "".join(linecache.getlines(function.__code__.co_filename, function.__globals__))
    module = compile(syntax_tree(text), "", "exec", dont_inherit=True)
    return any(code == function.__code__ for code in _codes(module))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Some code and all that is defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def is_known_type(value: Any) -> bool:
    """Whether looking at a value runs no code of a type that somebody has made for the flow."""
    return type(value).__module__.partition(".")[0] in _KNOWN


def _attributes(
    definition: ast.FunctionDef, flow_name: str, function: FunctionType, flow: type
) -> Iterator[str | None]:
    """The attributes of the flow object with which more is done; None for what cannot be told."""
    parents = {
        child: parent for parent in ast.walk(definition) for child in ast.iter_child_nodes(parent)
    }
    for node in ast.walk(definition):
        if not isinstance(node, ast.Name):
            continue
        if node.id in _OPAQUE:
            yield None
        if node.id != flow_name:
            continue
        place = parents[node]
        if not isinstance(place, ast.Attribute):
            yield None  # passed on as a whole, or rebound
        elif _may_run_code(flow, place.attr, _is_target(place, parents, flow_name)):
            yield None  # a method or a property, which may touch anything
        elif not _only_looks(place, parents, function):
            yield place.attr


def _is_target(place: ast.Attribute, parents: dict[ast.AST, ast.AST], flow_name: str) -> bool:
    """Whether an occurrence of ``self.x`` says where ``self.next`` goes, alone or as a case."""
    around = parents[place]
    if isinstance(around, ast.Dict):
        around = parents[around]
    called = around.func if isinstance(around, ast.Call) else None
    return (
        isinstance(called, ast.Attribute)
        and called.attr == "next"
        and isinstance(called.value, ast.Name)
        and called.value.id == flow_name
    )


def _may_run_code(flow: type, name: str, is_target: bool) -> bool:
    """Whether an attribute of the class, when used so, is code that can reach every artifact."""
    if name.startswith("__"):
        return True
    for base in flow.__mro__:
        if name in vars(base):
            found = vars(base)[name]
            if base.__module__ == "flowsdk.flow":
                return name.startswith("_")
            if getattr(found, "is_step", False):
                return not is_target
            return hasattr(type(found), "__get__") and not type(found).__module__.startswith(
                "flowsdk."
            )
    return False


def _only_looks(
    place: ast.Attribute, parents: dict[ast.AST, ast.AST], function: FunctionType
) -> bool:
    """Whether an occurrence of ``self.x`` leaves alone what it stands for."""
    around = parents[place]
    if isinstance(place.ctx, ast.Store):
        return not isinstance(around, ast.AugAssign)
    if isinstance(around, ast.Call) and place in around.args:
        name = around.func.id if isinstance(around.func, ast.Name) else ""
        return name in _LOOKS and _is_builtin(name, function)
    if isinstance(around, ast.Compare):
        return all(isinstance(operator, (ast.Is, ast.IsNot)) for operator in around.ops)
    if isinstance(around, (ast.If, ast.While, ast.IfExp, ast.Assert)):
        return around.test is place
    return isinstance(around, ast.UnaryOp) and isinstance(around.op, ast.Not)


def _is_builtin(name: str, function: FunctionType) -> bool:
    codes = _codes(function.__code__)
    local = any(name in (*c.co_varnames, *c.co_cellvars, *c.co_freevars) for c in codes)
    return not local and name not in function.__globals__ and hasattr(builtins, name)
