"""Which code a DAG was made of, so that Airflow sees a new version of the DAG when it has changed.

A step's code is no part of what Airflow stores of a DAG. A few digits that stand for it are.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
from pathlib import Path

from flowsdk.package import local_files

_DIGITS = 12


def source_version(file: str) -> str:
    """Digits that change exactly when the flow's file, or local code that it imports, does.

    Args:
        file: The flow's, as the interpreter names it; it may lie in an archive.

    Raises:
        PackageError: A local module that it imports cannot be read.
    """
    path = Path(file)
    if path.is_file():
        found = local_files(path.resolve(), _root(path.resolve()))
    else:
        found = {}
        linecache.checkcache(file)
    digest = hashlib.sha256("".join(linecache.getlines(file)).encode())
    for name, local in sorted(found.items()):
        content = local.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_DIGITS]


def _root(file: Path) -> Path:
    """The folder whose modules a flow file can import: Airflow has put that of its bundle on the path."""
    parents = set(map(str, file.parents))
    found = (entry for entry in sys.path if entry.rstrip("/") in parents)
    return Path(next(found, file.parent))
