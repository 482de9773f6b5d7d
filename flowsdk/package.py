"""The code package: what a job needs of the code, deterministic and small.

It holds the flow file, the local modules that it imports (found by reading import statements, also
inside functions, module by module) and flowsdk. Equal code gives equal bytes, so an unchanged flow
is uploaded once.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import decode_source
from pathlib import Path

import flowsdk
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.exception import PackageError
from flowsdk.graph.source import statements, syntax_tree

_SKIPPED_FOLDERS = {"__pycache__", ".git", ".venv", "node_modules"}
#: What tells that code starts flows of its own.
_STARTS_FLOWS = (
    *(b"Runner", b"Deploye", b"inspect_spin", b"flowsdk.cli"),  # Deployer and DeployedFlow
    *(b"subprocess", b"popen", b"os.exec", b"os.spawn", b"system(", b"import system"),
)
#: Folders of flowsdk that only those jobs are given whose own files name one of the words.
_ON_DEMAND = {
    "aws_batch": _STARTS_FLOWS,
    "cards/assets": (b"VegaChart",),
    "cli": _STARTS_FLOWS,
    "deployer": (b"Deploye",),
    "lint": _STARTS_FLOWS,
    "runner": (b"Runner", b"Deploye"),
    "tutorials": (),
}


@dataclass(frozen=True)
class CodePackage:
    """A built package.

    Attributes:
        digest: SHA-256 of ``data`` in hex.
        script: The flow file's path within the package.
        data: A gzipped tar archive.
        files: Paths within the package, sorted.
    """

    digest: str
    script: str
    data: bytes = field(repr=False)
    files: tuple[str, ...] = field(repr=False)


def build(flow_file: Path, root: Path | None = None, modules: Iterable[str] = ()) -> CodePackage:
    """The code package of a flow file.

    Args:
        flow_file: The file that defines the flow.
        root: What paths in the package are relative to, the flow file's folder or one above it.
            Local modules are looked for in both, as Python does when the flow is run and Airflow
            does in its dags folder. By default the flow file's folder.
        modules: Names of more modules that jobs need, such as those of decorators from ``--with``,
            which no file imports. Those that are not local are passed over.

    Raises:
        PackageError: A file cannot be read or parsed.
    """
    flow_file = flow_file.resolve()
    root = (root or flow_file.parent).resolve()
    found = local_files(flow_file, root, modules)
    sdk = Path(flowsdk.__file__).resolve().parent
    code = b"".join(path.read_bytes() for path in found.values() if path.suffix == ".py")
    left_out = {
        sdk / folder
        for folder, words in _ON_DEMAND.items()
        if not any(word in code for word in words)
    }
    found |= {
        f"flowsdk/{path.relative_to(sdk).as_posix()}": path
        for path in _all_files(sdk)
        if left_out.isdisjoint(path.parents)
    }
    data = _archive(found)
    return CodePackage(
        digest=hashlib.sha256(data).hexdigest(),
        script=flow_file.relative_to(root).as_posix(),
        data=data,
        files=tuple(sorted(found)),
    )


def local_files(flow_file: Path, root: Path, modules: Iterable[str] = ()) -> dict[str, Path]:
    """The flow file and the local modules that it imports, by their paths below ``root``.

    Args:
        flow_file: The file that defines the flow.
        root: As of :func:`build`.
        modules: As of :func:`build`.

    Raises:
        PackageError: A file cannot be read or parsed.
    """
    files = _local_files(flow_file, root, modules)
    return {path.relative_to(root).as_posix(): path for path in files}


def upload(store: FlowDatastore, package: CodePackage) -> str:
    """Store a package unless it is there. Returns its key, which ``RunSpec.code`` wants."""
    key = keys.code(store.flow, package.digest)
    if not store.storage.freshen(key):
        store.storage.write(key, [package.data], if_absent=True)
    return key


def _archive(files: dict[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            content = files[name].read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o644, 0
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), compresslevel=6, mtime=0)


def _local_files(flow_file: Path, root: Path, modules: Iterable[str]) -> list[Path]:
    """The flow file and every module below ``root`` that it needs, in no particular order."""
    found: set[Path] = set()
    roots = dict.fromkeys((flow_file.parent, root))

    def files_of(name: str) -> list[Path]:
        return next(filter(None, (_files_of(name, folder) for folder in roots)), [])

    todo = [flow_file, *(path for name in modules for path in files_of(name))]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        if path.suffix == ".py":
            for name in imported_names(path, root):
                todo += files_of(name)
    return list(found)


def imported_names(path: Path, root: Path) -> Iterator[str]:
    """Absolute names of the modules that a file may import, inside functions too.

    What is imported from a module is named as if it were a module itself, for it may be one.

    Args:
        path: The file.
        root: The folder above it whose modules are at the top.

    Raises:
        PackageError: It cannot be read or parsed.
    """
    try:
        tree = syntax_tree(decode_source(path.read_bytes()))
    except (OSError, SyntaxError, ValueError) as error:
        raise PackageError(f"Cannot read {path} for the code package: {error}.") from error
    package = path.relative_to(root).parts[:-1]
    for node in statements(tree.body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *(node.module or "").split("."))).strip(".")
            yield module
            yield from (f"{module}.{alias.name}".strip(".") for alias in node.names)


def _files_of(module: str, root: Path) -> list[Path]:
    """The files of a module if it is local: of a package everything, data files included."""
    top = module.split(".", 1)[0]
    if not top or top in {"flowsdk", "*"}:
        return []
    package = root / top
    if (package / "__init__.py").is_file():
        return list(_all_files(package))
    if (root / f"{top}.py").is_file():
        return [root / f"{top}.py"]
    path = root.joinpath(*module.split("."))  # a namespace package: only what is named
    if path.with_suffix(".py").is_file():
        return [path.with_suffix(".py")]
    return list(_all_files(path)) if (path / "__init__.py").is_file() else []


def _all_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and path.suffix != ".pyc" and not _SKIPPED_FOLDERS & set(relative.parts):
            yield path
