"""One module knows that there are several versions of Airflow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_flowprovider
from airflow_flowprovider import compat

PACKAGE = Path(airflow_flowprovider.__file__).parent
OTHERS = sorted(set(PACKAGE.rglob("*.py")) - {Path(compat.__file__)})
CAUGHT = {"ImportError", "ModuleNotFoundError"}


@pytest.mark.parametrize("file", OTHERS, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_nothing_else_tries_which_names_airflow_has(file: Path) -> None:
    tried = list(tries(ast.parse(file.read_text("utf-8"))))
    assert not tried, f"{file}: found a guarded import of {tried}, expected it in compat.py"


def test_a_guarded_import_is_found() -> None:
    source = """
try:
    from airflow.sdk import New
except (AttributeError, ImportError):
    import airflow.models as old
try:
    import tomllib
except ImportError:
    tomllib = None
"""
    assert list(tries(ast.parse(source))) == ["airflow.sdk"]


def test_every_name_it_offers_is_there() -> None:
    assert all(hasattr(compat, name) for name in compat.__all__)
    assert compat.__all__ == sorted(compat.__all__)


def tries(tree: ast.Module) -> Iterator[str]:
    """Modules of Airflow whose import may fail."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and CAUGHT & {
            name for h in node.handlers for name in names(h)
        }:
            imports = [inner for statement in node.body for inner in ast.walk(statement)]
            for inner in imports:
                if isinstance(inner, ast.ImportFrom) and inner.module is not None:
                    found = [inner.module]
                elif isinstance(inner, ast.Import):
                    found = [alias.name for alias in inner.names]
                else:
                    continue
                yield from (name for name in found if name.split(".")[0] == "airflow")


def names(handler: ast.ExceptHandler) -> set[str]:
    """What a handler catches, as far as it is named."""
    return (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
        if handler.type
        else {"ImportError"}
    )
