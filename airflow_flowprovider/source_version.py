"""Which code a DAG was made of, so that Airflow sees a new version of the DAG when it has changed.

A step's code is no part of what Airflow stores of a DAG. A few digits that stand for it are. They
cover the flow's file and the local modules that it imports, one by one: the code package of a run
holds whole packages, but reading those at every parse would take longer than all the rest of it.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from flowsdk.package import imported_names

_DIGITS = 12
#: Modules that are not the flow's, wherever they lie.
_FOREIGN = {"flowsdk", "airflow_flowprovider", "airflow", *sys.stdlib_module_names}


def source_version(file: str) -> str:
    """Digits that change when the flow's file does, or a local module that it imports.

    Args:
        file: The flow's, as the interpreter names it; it may lie in an archive.

    Raises:
        PackageError: A local module that it imports cannot be read.
    """
    linecache.checkcache(file)
    digest = hashlib.sha256("".join(linecache.getlines(file)).encode())
    if Path(file).is_file():
        for name, content in _modules(Path(file).resolve()):
            digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()[:_DIGITS]


def _modules(flow_file: Path) -> list[tuple[str, str]]:
    """The local modules that a flow file imports, and what stands for the content of each; sorted."""
    root = _root(flow_file)
    folders = dict.fromkeys((flow_file.parent, root))
    found: dict[Path, tuple[str, str]] = {}
    todo = [flow_file]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        stat = path.stat()
        content, names = _read(path, root, stat.st_mtime_ns, stat.st_size)
        found[path] = (path.relative_to(root).as_posix(), content)
        for name in names:
            todo += (file for folder in folders for file in _files_of(name, folder))
    return sorted(found.values())


@lru_cache(maxsize=1024)
def _read(path: Path, root: Path, mtime: int, size: int) -> tuple[str, tuple[str, ...]]:  # noqa: ARG001
    names = {
        name
        for name in imported_names(path, root)
        if name and name.partition(".")[0] not in _FOREIGN
    }
    return hashlib.sha256(path.read_bytes()).hexdigest(), tuple(names)


def _files_of(module: str, folder: Path) -> Iterator[Path]:
    """The files in a folder that importing a module executes, its packages' included."""
    for part in module.split("."):
        folder /= part
        for file in (folder / "__init__.py", folder.with_suffix(".py")):
            if file.is_file():
                yield file
        if not folder.is_dir():
            return


def _root(file: Path) -> Path:
    """The folder whose modules a flow file can import: Airflow has put that of its bundle on the path."""
    parents = set(map(str, file.parents))
    found = (entry for entry in sys.path if entry.rstrip("/") in parents)
    return Path(next(found, file.parent))
