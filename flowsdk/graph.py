"""A flow as a graph, read from its source: frozen, without I/O and without running user code."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
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
        condition: Name of the artifact that a switch looks at, or None.
        cases: Value → step of a switch.
        num_parallel: Whether the next step is a gang.
        is_join: Whether the step takes ``inputs``.
        join_of: The split or foreach step that this join closes, or None.
        splits: The split and foreach steps open around a task of this step, outermost first, itself
            not counted.
        foreaches: Those of them that are foreach steps.
        file: Where it is defined.
        line: Of its ``def``.
        next_line: Of its ``self.next``, or None.
        doc: Its docstring, or the empty string.
        num_args: Number of its parameters, ``self`` included.
        transition: What the end of the step looks like.
        is_start: Marked with ``@step(start=True)``.
        is_end: Marked with ``@step(end=True)``.
    """

    name: str
    kind: Kind
    next: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    foreach: str | None = None
    condition: str | None = None
    cases: Mapping[Any, str] = field(default_factory=dict)
    num_parallel: bool = False
    is_join: bool = False
    join_of: str | None = None
    splits: tuple[str, ...] = ()
    foreaches: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    next_line: int | None = None
    doc: str = ""
    num_args: int = 1
    transition: Transition = "none"
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
    """

    name: str
    file: str
    line: int
    doc: str
    nodes: Mapping[str, Node]
    start: str | None
    end: str | None

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def __contains__(self, name: object) -> bool:
        return name in self.nodes

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)

    def topological(self) -> tuple[Node, ...]:
        """The steps so that each comes after its parents; self-loops are not counted.

        Steps on a cycle, and what follows them, come last, in the order of their definition.
        """
        waiting = {
            node.name: len([p for p in node.parents if p != node.name]) for node in self
        }
        ready = [name for name, count in waiting.items() if count == 0]
        ordered: list[str] = []
        while ready:
            name = ready.pop(0)
            ordered.append(name)
            for target in dict.fromkeys(self.nodes[name].next):
                if target in waiting and target != name:
                    waiting[target] -= 1
                    if waiting[target] == 0:
                        ready.append(target)
        rest = [name for name in self.nodes if name not in set(ordered)]
        return tuple(self.nodes[name] for name in (*ordered, *rest))

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

    def with_nodes(self, nodes: Mapping[str, Node]) -> FlowGraph:
        """The same flow with other steps; who follows whom is read anew from their ``next``."""
        return replace(self, nodes=_with_parents(nodes))

    @classmethod
    def from_flow(cls, flow: type) -> FlowGraph:
        """Read the graph of a flow class, steps of its base classes included.

        Raises:
            OSError: The source of the class is not available.
        """
        linecache.checkcache(_file_of(flow))
        nodes = {name: _read_step(name, function) for name, function in _steps_of(flow).items()}
        nodes = _with_parents(nodes)
        start = _only(nodes, "is_start", "start")
        end = _only(nodes, "is_end", "end")
        if len(nodes) == 1:
            start = end = next(iter(nodes))
        if start:
            nodes = _with_splits(nodes, start)
        file, line = _class_place(flow)
        doc = inspect.cleandoc(flow.__doc__ or "")
        return cls(flow.__name__, file, line, doc, nodes, start, end)


def _steps_of(flow: type) -> dict[str, Any]:
    """Step functions by name: own ones and inherited ones, in the order of their definition."""
    found: dict[str, Any] = {}
    for base in reversed(flow.__mro__):
        for name, value in vars(base).items():
            if getattr(value, "is_step", False):
                found[name] = value
            else:
                found.pop(name, None)
    return found


def _with_parents(nodes: Mapping[str, Node]) -> dict[str, Node]:
    parents: dict[str, list[str]] = {name: [] for name in nodes}
    for node in nodes.values():
        for target in dict.fromkeys(node.next):
            if target in parents:
                parents[target].append(node.name)
    return {name: replace(node, parents=tuple(parents[name])) for name, node in nodes.items()}


def _only(nodes: Mapping[str, Node], marker: str, default: str) -> str | None:
    marked = [node.name for node in nodes.values() if getattr(node, marker)]
    if len(marked) == 1:
        return marked[0]
    return default if default in nodes and not marked else None


def _with_splits(nodes: dict[str, Node], start: str) -> dict[str, Node]:
    """Note in every node that can be reached which splits are open around it.

    The first way found into a node decides; that all ways agree is the linter's business.
    """
    todo: list[tuple[str, tuple[str, ...]]] = [(start, ())]
    seen: set[str] = set()
    while todo:
        name, open_splits = todo.pop(0)
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        node = nodes[name]
        join_of = None
        if node.is_join and open_splits:
            *outer, join_of = open_splits
            open_splits = tuple(outer)
        foreaches = tuple(split for split in open_splits if nodes[split].kind == "foreach")
        nodes[name] = replace(node, join_of=join_of, splits=open_splits, foreaches=foreaches)
        inner = (*open_splits, name) if node.kind in ("split", "foreach") else open_splits
        todo += [(target, inner) for target in node.next]
    return nodes


def _file_of(flow: type) -> str:
    return getattr(sys.modules.get(flow.__module__), "__file__", None) or ""


def _class_place(flow: type) -> tuple[str, int]:
    module = sys.modules.get(flow.__module__)
    file = _file_of(flow)
    name = flow.__qualname__.rpartition("<locals>.")[2]
    for definition in _definitions(file, vars(module) if module else {}).get(name, ()):
        return file, definition.lineno
    return file, 1


# -- reading the source


def _read_step(name: str, function: Any) -> Node:
    function = inspect.unwrap(function)
    code = function.__code__
    definition = _find_definition(code.co_filename, code.co_firstlineno, function)
    arguments = definition.args
    num_args = len(arguments.posonlyargs) + len(arguments.args)
    node = Node(
        name=name,
        kind="end",
        is_join=num_args > 1,
        file=code.co_filename,
        line=definition.lineno,
        doc=inspect.cleandoc(function.__doc__ or ""),
        num_args=num_args,
        is_start=function.is_start_step,
        is_end=function.is_end_step,
    )
    calls = list(_next_calls(definition))
    if not calls:
        return node
    last = definition.body[-1]
    in_place = isinstance(last, ast.Expr) and any(last.value is call for call in calls)
    call = last.value if in_place and isinstance(last, ast.Expr) else calls[-1]
    assert isinstance(call, ast.Call)
    node = _read_transition(replace(node, next_line=call.lineno), call)
    if not in_place:
        return replace(node, transition="misplaced")
    return node


def _next_calls(definition: ast.FunctionDef) -> Iterator[ast.Call]:
    receiver = definition.args.args[0].arg if definition.args.args else "self"
    for node in ast.walk(definition):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "next"
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == receiver
        ):
            yield node


def _read_transition(node: Node, call: ast.Call) -> Node:
    """The node with what its ``self.next(…)`` says."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    bad = replace(node, kind="linear", transition="unparsable")
    if set(keywords) - {"foreach", "num_parallel", "condition"} or len(keywords) > 1:
        return bad
    if "condition" in keywords:
        return _read_switch(node, call, keywords["condition"]) or bad
    targets = [_attribute(argument) for argument in call.args]
    if not targets or None in targets:
        return bad
    names = tuple(str(target) for target in targets)
    node = replace(node, next=names, transition="ok")
    if "foreach" in keywords:
        var = keywords["foreach"]
        if not (isinstance(var, ast.Constant) and isinstance(var.value, str)) or len(names) != 1:
            return replace(bad, next=names)
        return replace(node, kind="foreach", foreach=var.value)
    if "num_parallel" in keywords:
        return replace(node, kind="foreach", num_parallel=True)
    if len(names) > 1:
        return replace(node, kind="split")
    return replace(node, kind="join" if node.is_join else "linear")


def _read_switch(node: Node, call: ast.Call, condition: ast.expr) -> Node | None:
    if len(call.args) != 1 or not isinstance(call.args[0], ast.Dict):
        return None
    if not (isinstance(condition, ast.Constant) and isinstance(condition.value, str)):
        return None
    cases: dict[Any, str] = {}
    for key, value in zip(call.args[0].keys, call.args[0].values, strict=True):
        target = _attribute(value)
        if target is None or key is None:
            return None
        if isinstance(key, ast.Constant):
            cases[key.value] = target
        else:
            cases[ast.unparse(key)] = target
    return replace(
        node,
        kind="switch",
        next=tuple(dict.fromkeys(cases.values())),
        condition=condition.value,
        cases=cases,
        transition="ok",
    )


def _attribute(expression: ast.expr) -> str | None:
    """``x`` of ``self.x``."""
    if isinstance(expression, ast.Attribute) and isinstance(expression.value, ast.Name):
        return expression.attr
    return None


def _find_definition(file: str, first_line: int, function: Any) -> ast.FunctionDef:
    """The definition that begins (with its decorators) in ``first_line`` of ``file``."""
    name = function.__qualname__.rpartition("<locals>.")[2]
    for definition in _definitions(file, function.__globals__).get(name, ()):
        lines = [definition.lineno, *(d.lineno for d in definition.decorator_list)]
        if isinstance(definition, ast.FunctionDef) and first_line in lines:
            return definition
    raise OSError(
        f"The source of step {function.__qualname__} is not in {file}:{first_line}. Flows have to "
        f"be defined in a file."
    )


def _definitions(file: str, module: dict[str, Any]) -> Mapping[str, tuple[Any, ...]]:
    """Classes and functions of a file by qualified name, without ``<locals>.`` of the outer ones.

    Through linecache, which also reads modules inside zip archives, given the module's globals.
    """
    return _parse("".join(linecache.getlines(file, module)), file) if file else {}


@lru_cache(maxsize=256)
def _parse(source: str, file: str) -> Mapping[str, tuple[Any, ...]]:
    found: dict[str, list[Any]] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.ClassDef, ast.FunctionDef)):
                name = f"{prefix}{child.name}"
                found.setdefault(name, []).append(child)
                visit(child, f"{name}." if isinstance(child, ast.ClassDef) else "")
            else:
                visit(child, prefix)

    visit(ast.parse(source, file), "")
    return {name: tuple(nodes) for name, nodes in found.items()}
