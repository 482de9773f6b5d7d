from __future__ import annotations

import pickle
from pickle import PickleBuffer
from typing import Any

import pytest

from flowsdk import Serializer
from flowsdk.artifacts import reducers
from flowsdk.artifacts.serializer import deserialize, dump, serialize
from flowsdk.exception import UnpicklableArtifact, UsageError


class Grid:
    """What pickle cannot store."""

    def __init__(self, name: str, cells: Any) -> None:
        self.name = name
        self.cells = cells

    def __reduce__(self) -> Any:
        raise TypeError("not by pickle")


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reducers, "_own", {})


class _Parts:
    @staticmethod
    def pack(grid: Grid) -> tuple[Any, ...]:
        return grid.name, PickleBuffer(grid.cells)

    @staticmethod
    def unpack(name: str, cells: Any) -> Grid:
        return Grid(name, cells)


def define(of: type | str = Grid) -> None:
    class GridSerializer(Serializer, of=of):
        pack = staticmethod(_Parts.pack)
        unpack = staticmethod(_Parts.unpack)


def stored(value: Any) -> Any:
    content = b"".join(bytes(part) for part in serialize(value).parts)
    return deserialize(memoryview(bytearray(content)))


class Local(Grid):
    """Found by nobody."""


Local.__qualname__ = "somewhere.<locals>.Local"


def test_a_type_that_no_name_leads_to() -> None:
    define(Local)
    assert stored(Local("g", b"abc")).name == "g"


@pytest.mark.parametrize("of", [Grid, f"{__name__}.Grid"])
def test_values_of_a_type_are_stored_as_its_serializer_says(of: type | str) -> None:
    with pytest.raises(UnpicklableArtifact, match="not by pickle"):
        serialize(Grid("g", b""))
    define(of)
    cells = bytearray(100_000)
    payload = serialize([Grid("g", cells)])
    assert any(memoryview(part).obj is cells for part in payload.parts)
    assert len(payload.parts[1]) < 500
    (loaded,) = stored([Grid("g", cells)])
    assert loaded.name == "g"
    assert loaded.cells == cells
    loaded.cells[0] = 1  # it is the value's own


def test_small_parts_are_pickled() -> None:
    define()
    assert bytes(stored(Grid("g", b"abc")).cells) == b"abc"


def test_beside_what_only_cloudpickle_can_store() -> None:
    define()
    grid, function = stored((Grid("g", bytearray(10_000)), lambda x: x + 1))
    assert (grid.name, function(1)) == ("g", 2)


def test_a_serializer_that_cannot_be_imported_travels_with_the_value() -> None:
    class Local(Serializer, of=Grid):
        @staticmethod
        def pack(grid: Grid) -> tuple[Any, ...]:
            return (grid.name,)

        @staticmethod
        def unpack(name: str) -> Grid:
            return Grid(name, None)

    assert stored(Grid("g", None)).name == "g"


def test_it_counts_for_pickles_without_buffers_too() -> None:
    define()
    assert pickle.loads(dump(Grid("g", b"abc"))).name == "g"  # made here


def test_the_last_one_for_a_type_counts() -> None:
    define()

    class Other(Serializer, of=Grid):
        @staticmethod
        def pack(grid: Grid) -> tuple[Any, ...]:
            return (grid.name,)

        @staticmethod
        def unpack(name: str) -> Grid:
            return Grid(f"other {name}", None)

    assert stored(Grid("g", None)).name == "other g"


def test_a_type_of_a_module_that_is_not_loaded() -> None:
    define("no_such_module.inner.Thing")
    assert stored({"a": 1}) == {"a": 1}


def test_what_is_wrong_with_a_serializer_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:

        class Wrong(Serializer, of=dict):
            @staticmethod
            def packs(value: Any) -> tuple[Any, ...]:
                return (value,)

            def unpack(self) -> None:  # type: ignore[override]
                """Not static."""

    told = str(caught.value).splitlines()
    assert len(told) == 3
    assert "no method 'pack'" in told[0]
    assert "Did you mean 'packs'" in told[0]
    assert "'unpack' is no static method" in told[1]
    assert "builtins.dict" in told[2]


@pytest.mark.parametrize("of", [list, type(None), PickleBuffer, "Grid"])
def test_types_that_pickle_would_never_ask_about(of: type | str) -> None:
    with pytest.raises(UsageError, match="of="):
        define(of)


def test_types_that_pickle_does_ask_about() -> None:
    class Complex(Serializer, of=complex):
        @staticmethod
        def pack(value: complex) -> tuple[Any, ...]:
            return (value.real,)

        @staticmethod
        def unpack(real: float) -> complex:
            return complex(real, 7)

    assert stored(1 + 2j) == 1 + 7j


def test_what_goes_wrong_in_a_serializer_names_the_artifact() -> None:
    class Failing(Serializer, of=Grid):
        @staticmethod
        def pack(grid: Grid) -> tuple[Any, ...]:
            raise ValueError(f"{grid.name} is empty")

        @staticmethod
        def unpack() -> None:
            """Never called."""

    with pytest.raises(UnpicklableArtifact, match=r"self\.grids\[0\] is a .*Grid \(g is empty\)"):
        serialize([Grid("g", None)], "grids")
