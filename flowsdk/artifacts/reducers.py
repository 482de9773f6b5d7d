"""Types that pickle is told how to store: those of users, and those that would be copied otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pickle import PickleBuffer
from types import BuiltinFunctionType, EllipsisType, FunctionType, NoneType
from typing import Any

from flowsdk.artifacts.libraries import REDUCERS, Reduced
from flowsdk.exception import UsageError, did_you_mean

#: Types that pickle stores without asking anybody.
_OF_PICKLE = (
    *(bool, bytearray, bytes, dict, float, frozenset, int, list, set, str, tuple, type),
    *(BuiltinFunctionType, EllipsisType, FunctionType, NoneType, PickleBuffer),
)

#: Qualified name of a type → it, if it was given itself, and how its values are pickled.
_own: dict[str, tuple[type | None, Callable[[Any], Reduced]]] = {}


class Serializer:
    """How values of a type are stored, wherever in an artifact they occur.

    A class of your own says what a value consists of, and how it is made of that again::

        class GridSerializer(Serializer, of=Grid):
            @staticmethod
            def pack(grid):
                return grid.name, PickleBuffer(grid.cells)

            @staticmethod
            def unpack(name, cells):
                return Grid(name, numpy.frombuffer(cells))

    How it works:
        To define the class is to register it, in this process; a step that stores a ``Grid`` therefore
        imports the module where it stands. Whoever loads one need not: ``unpack`` is found by its name,
        or travels with the artifact if it cannot be imported.
        Of several for a type the last one counts.
    What it does not do:
        Values of subclasses of ``Grid`` are stored as pickle stores them.

    Args:
        of: The type, or its qualified name (``"package.module.Grid"``, where it was defined), so that
            its module need not be imported here.

    Raises:
        UsageError: ``pack`` or ``unpack`` is missing or no static method, or ``of`` is a type that pickle
            never asks about.
    """

    def __init_subclass__(cls, of: type | str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        name = of if isinstance(of, str) else qualified_name(of)
        problems = list(_problems(cls, name))
        if problems:
            raise UsageError("\n".join(f"Serializer {cls.__qualname__}: {p}" for p in problems))
        kind = None if isinstance(of, str) else of
        _own[name] = kind, lambda value: (cls.unpack, tuple(cls.pack(value)))

    @staticmethod
    def pack(value: Any) -> tuple[Any, ...]:
        """What a value consists of.

        Returns:
            Anything that can be pickled. What is wrapped into a ``pickle.PickleBuffer`` is neither
            copied nor pickled: it is written from where it lies, and read, or mapped, into one piece of
            memory. It must be contiguous.
        """
        raise NotImplementedError

    @staticmethod
    def unpack(*parts: Any) -> Any:
        """The value that :meth:`pack` took apart.

        Args:
            parts: What that returned. In place of a ``PickleBuffer`` there is something bytes-like: of
                4 KiB and more a ``memoryview``, which is aligned to 64 bytes, may be kept, and can be written
            to as what was packed could be.
        """
        raise NotImplementedError


def qualified_name(kind: type) -> str:
    """``module.Class`` of a type."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _problems(cls: type[Serializer], name: str) -> Iterator[str]:
    for method in ("pack", "unpack"):
        found = cls.__dict__.get(method)
        if found is None:
            near = did_you_mean(method, [n for n in cls.__dict__ if not n.startswith("__")])
            yield f"found no method {method!r}, expected a static one.{near}"
        elif not isinstance(found, staticmethod):
            yield f"{method!r} is no static method. Write @staticmethod above it."
    if "." not in name:
        yield f"of={name!r}: found no module, expected package.module.Class."
    if name in map(qualified_name, _OF_PICKLE):
        yield f"of={name!r} is what pickle stores without asking. Name a class of your own."


def reducers(in_place: bool) -> dict[type, Callable[[Any], Reduced]]:
    """What a pickler asks before it asks a value itself, by type.

    Only of types whose modules are loaded: there is no value of any other.

    Args:
        in_place: Whether values are to be pickled without a copy; if not, only those differently that
            users have a :class:`Serializer` for.
    """
    found = {_loaded(name): reducer for name, reducer in REDUCERS.items()} if in_place else {}
    own = dict(_own)  # another thread may import a module with one more
    found |= {kind or _loaded(name): reducer for name, (kind, reducer) in own.items()}
    return {kind: reducer for kind, reducer in found.items() if kind is not None}


def _loaded(name: str) -> type | None:
    """The type of a qualified name if its module has been imported."""
    module, _, rest = name.rpartition(".")
    tail = [rest]
    while module and module not in sys.modules:
        module, _, rest = module.rpartition(".")
        tail.insert(0, rest)
    found: Any = sys.modules.get(module)
    for attribute in tail:
        found = getattr(found, attribute, None)
    return found if isinstance(found, type) else None
