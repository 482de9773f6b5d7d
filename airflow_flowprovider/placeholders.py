"""Modules that a flow file imports and that exist only where its steps run.

Airflow's machines parse flow files and launch steps; what the steps compute with (torch, a private
package) need not be installed there. While a flow file is being imported, a module that cannot be
found is stood in for by a placeholder. Naming things in it is fine: importing from it, annotations,
base classes. Using one is an error that says where: nothing can be computed with what is not there.

Only imports written in the flow's own code are stood in for, never those of an installed package,
and never one whose failure the code handles itself (``try: … except ImportError``). Jobs know none
of this: there, a missing module is a missing module.
"""

from __future__ import annotations

import ast
import importlib
import linecache
import sys
import sysconfig
import typing
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

import flowsdk

_IMPORT_CONTEXT = "airflow.sdk.definitions._internal.contextmanager"
#: Where installed code lies, and our own; what lies elsewhere is a user's.
_INSTALLED = (
    *{path for name, path in sysconfig.get_paths().items() if name.endswith("lib")},
    *(str(Path(file).parent) for file in (__file__, flowsdk.__file__)),
)
_HANDLED = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


class PlaceholderUsed(ImportError):
    """A flow file needs a module that is not installed here for more than its steps.

    Args:
        message: What was used, where, and what to do.
        name: Of the module.
    """

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message, name=name)
        self.message = message

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.name)


class _Placeholder:
    """Something in a module that is not installed here. It has attributes, and no other use."""

    def __init__(self, path: str, module: str, place: str) -> None:
        self.__dict__["_placeholder"] = (path, module, place)

    def __getattr__(self, name: str) -> _Placeholder:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        path, module, place = self.__dict__["_placeholder"]
        return _Placeholder(f"{path}.{name}", module, place)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        # A class of the flow file that derives from it is made, though it cannot be used here.
        return () if any(isinstance(base, type) for base in bases) else (object,)

    def __getitem__(self, _: Any) -> _Placeholder:
        path, module, place = self.__dict__["_placeholder"]
        return _Placeholder(f"{path}[…]", module, place)

    def __or__(self, _: Any) -> _Placeholder:  # Tensor | None in an annotation
        return self

    __ror__ = __or__

    def __eq__(self, other: object) -> bool:
        if sys._getframe(1).f_code.co_filename != typing.__file__:  # Optional[Tensor]
            _refuse(self, "compared")
        return self is other

    def __repr__(self) -> str:
        return f"<{self.__dict__['_placeholder'][0]}, not installed here>"

    def __hash__(self) -> int:
        return id(self)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG002
        _refuse(self, "called")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        _refuse(self, f"given the attribute {name!r}")


def _make_unusable(*operations: str) -> None:
    def refuse(self: _Placeholder, *_: Any) -> NoReturn:
        _refuse(self, "used in an expression")

    for operation in operations:
        setattr(_Placeholder, f"__{operation}__", refuse)


_make_unusable(
    *("bool", "iter", "len", "contains", "next", "enter", "exit", "int", "float", "index", "str"),
    *("lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "setitem", "delitem"),
    *(
        f"{side}{name}"
        for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and")
        for side in ("", "r")
    ),
)


class _PlaceholderModule(ModuleType):
    """A module that is not installed here."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _Placeholder(f"{self.__name__}.{name}", self.__name__, self.__dict__["_place"])


#: Names of those made; looking through all modules for them takes longer than reading a flow.
_made: set[str] = set()


class PlaceholderFinder(MetaPathFinder, Loader):
    """Asked for a module after all other finders; see the module's description."""

    def __init__(self) -> None:
        self._flow_file: str | None = None

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # the interface's
        target: ModuleType | None = None,  # noqa: ARG002  # the interface's
    ) -> ModuleSpec | None:
        """A placeholder's spec for an import of a flow file in progress; else None.

        Args:
            fullname: Of the module.
            path: Of its parent package.
            target: A module that is being reloaded.
        """
        self._forget_other_files()
        parent = fullname.rpartition(".")[0]
        if parent and not isinstance(sys.modules.get(parent), _PlaceholderModule):
            return None  # the package is there: that it has no such module is a mistake
        importer = _importer_in_flow_file()
        if importer is None:
            return None
        file, line = importer.f_code.co_filename, importer.f_lineno
        if line in _handled_lines(file, "".join(linecache.getlines(file, importer.f_globals))):
            return None
        spec = ModuleSpec(fullname, self, origin=f"{file}:{line}", is_package=True)
        spec.loader_state = f"{file}:{line}"
        return spec

    def _forget_other_files(self) -> None:
        """Remove the placeholders of another file: it may have been no flow file's business."""
        if self._flow_file != _file_being_imported():
            self._flow_file = _file_being_imported()
            forget()

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty module that has every attribute."""
        module = _PlaceholderModule(spec.name)
        module.__dict__["_place"] = spec.loader_state
        _made.add(spec.name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: there is no code."""


def install() -> None:
    """Add the finder to this process, once."""
    if not any(isinstance(finder, PlaceholderFinder) for finder in sys.meta_path):
        sys.meta_path.append(PlaceholderFinder())


def stood_in_for() -> dict[str, str]:
    """The modules that have a placeholder in this process: name → ``file:line`` of their import."""
    return {
        name: module.__dict__["_place"]
        for name in sorted(_made)
        if isinstance(module := sys.modules.get(name), _PlaceholderModule)
    }


def is_placeholder(value: Any) -> bool:
    """Whether a value is, or is in, a module that is not installed here."""
    return isinstance(value, (_Placeholder, _PlaceholderModule))


def forget() -> None:
    """Remove all placeholders, so that no other file of this process meets them."""
    for name in stood_in_for():
        del sys.modules[name]
    _made.clear()


def _refuse(used: _Placeholder, how: str) -> NoReturn:
    path, module, imported = used.__dict__["_placeholder"]
    callers = (f for f in _callers() if not _is_installed(f.f_code.co_filename))
    frame = next(callers, sys._getframe(1))
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    raise PlaceholderUsed(
        f"Module {module!r} (imported at {imported}): found {path} {how} outside a step at {place}, "
        f"and Airflow's machine has no such module. Expected it to be used in steps only. Move the "
        f"line into a step, or install the module for Airflow too.",
        module,
    )


def _importer_in_flow_file() -> FrameType | None:
    """The frame that imports, if it is a user's code and a flow file is being imported."""
    name = _file_being_imported()
    if name is None:
        return None
    frames = _callers()
    importer = next(frames, None)
    if importer is None or _is_installed(importer.f_code.co_filename):
        return None
    for frame in (importer, *frames):
        # Only while the module's own code runs is it being imported.
        if frame.f_globals.get("__name__") == name and frame.f_code.co_name == "<module>":
            source = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
            return importer if any(_names_flows(line) for line in source) else None
    return None


def _names_flows(line: str) -> bool:
    # A file that defines a flow, or has one in a group.
    return "flowsdk" in line or "airflow_flowprovider" in line


def _file_being_imported() -> str | None:
    """Name of the module that Airflow imports or, for it never says so, has imported last."""
    # Airflow 3.1 imports much, and with that asks for much, before this module is complete.
    context = getattr(sys.modules.get(_IMPORT_CONTEXT), "DagContext", None)
    name: str | None = context.current_autoregister_module_name if context else None
    return name


def _callers() -> Iterator[FrameType]:
    """The frames below this module, those of the import system left out."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file not in (__file__, importlib.__file__) and not file.startswith("<frozen importlib"):
            yield frame
        frame = frame.f_back


def _is_installed(file: str) -> bool:
    return file.startswith(("<", *_INSTALLED))


@lru_cache(maxsize=64)
def _handled_lines(file: str, source: str) -> frozenset[int]:  # noqa: ARG001  # a key to look it up by
    """The lines of a file in which a failing import is expected by the code around it."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Try) and any(map(_handles_imports, node.handlers)):
            for statement in node.body:
                lines.update(range(statement.lineno, (statement.end_lineno or 0) + 1))
    return frozenset(lines)


def _handles_imports(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or getattr(kind, "id", None) in _HANDLED for kind in kinds)
