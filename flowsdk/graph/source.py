"""Finding the source of functions.

Through linecache, which also reads modules inside zip archives. Files are parsed whole and once:
for a flow that is far less work than ``inspect.getsource`` of each of its steps, and a DAG
processor reads hundreds of flows.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flowsdk.exception import FlowException


@dataclass(frozen=True)
class FunctionSource:
    """Where a function is defined.

    Attributes:
        file: As the interpreter names it.
        definition: Its syntax tree, with line numbers of the file.
        class_line: Of the class statement around it; None outside a class.
    """

    file: str
    definition: ast.FunctionDef
    class_line: int | None


def sources_of(functions: Mapping[str, Any]) -> dict[str, FunctionSource]:
    """The sources of functions, by the same names; of a wrapper, that of what it wraps.

    Raises:
        FlowException: There is no source, or it is not that of the function.
    """
    files: dict[str, str] = {}
    found = {}
    for name, function in functions.items():
        inner = inspect.unwrap(function)
        code = inner.__code__
        file = code.co_filename
        if file not in files:
            linecache.checkcache(file)
            files[file] = "".join(linecache.getlines(file, inner.__globals__))
        source = _parse(files[file], file).get(code.co_firstlineno)
        if source is None or source.definition.name != code.co_name:
            why = "It has changed since it was imported" if files[file] else "It has no source"
            raise FlowException(
                f"The source of step {inner.__qualname__} cannot be read ({file}:"
                f"{code.co_firstlineno}). {why}; flows have to be defined in a file that stays."
            )
        found[name] = source
    return found


# A few only: the trees of many files would keep the garbage collector busy.
@lru_cache(maxsize=2)
def syntax_tree(text: str) -> ast.Module:
    """The syntax tree of a file's text; not to be changed.

    Raises:
        SyntaxError: It is not Python.
        ValueError: It has null bytes.
    """
    return ast.parse(text)


def statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements below ``body``, in no particular order."""
    todo = [*body]
    while todo:
        statement = todo.pop()
        yield statement
        for block in _blocks(statement):
            todo += block


@lru_cache(maxsize=2)
def _parse(text: str, file: str) -> Mapping[int, FunctionSource]:
    """The functions of a file by their first line, which is that of the first decorator."""
    try:
        tree = syntax_tree(text)
    except (SyntaxError, ValueError) as error:
        raise FlowException(
            f"The source of the flow cannot be parsed ({file}): {error}."
        ) from error
    return {
        min([definition.lineno, *(d.lineno for d in definition.decorator_list)]): FunctionSource(
            file, definition, class_line
        )
        for definition, class_line in _functions(tree.body, None)
    }


def _functions(
    body: Sequence[ast.stmt], class_line: int | None
) -> Iterator[tuple[ast.FunctionDef, int | None]]:
    """Every function below ``body``, with the line of the class around it."""
    for statement in body:
        inner = class_line
        if isinstance(statement, ast.FunctionDef):
            yield statement, class_line
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = None
        elif isinstance(statement, ast.ClassDef):
            inner = statement.lineno
        for block in _blocks(statement):
            yield from _functions(block, inner)


def _blocks(statement: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    """The statements inside a statement; expressions are not searched, for they hold none."""
    if isinstance(statement, (ast.Expr, ast.Assign, ast.Import, ast.ImportFrom)):
        return
    for part in ("body", "orelse", "finalbody"):
        yield getattr(statement, part, ())
    for holder in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield holder.body
