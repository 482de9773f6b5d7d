from __future__ import annotations

import random
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from flowsdk.artifacts.serializer import deserialize, dump, serialize
from flowsdk.datastore.blobs import HEADER, BlobStore
from flowsdk.datastore.folder import FolderStorage
from flowsdk.datastore.hashing import digest_of
from flowsdk.datastore.spool import Spool
from flowsdk.datastore.unpacking import Unpacking
from flowsdk.exception import CorruptBlob, UnpicklableArtifact


@dataclass
class Point:
    x: int
    extra: object = None


def round_trip(value: object) -> object:
    payload = serialize(value)
    content = b"".join(bytes(part) for part in payload.parts)
    assert len(content) == payload.size
    return deserialize(memoryview(bytearray(content)))


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, "ä", b"x" * 10_000, [1, [2]], {"a": (1, 2)}, {1, 2}, Point(1), OrderedDict(a=1)],
    ids=repr,
)  # fmt: skip
def test_values_survive(value: object) -> None:
    assert round_trip(value) == value


def test_equal_values_have_equal_digests() -> None:
    assert serialize([1, "a"]).digest == serialize([1, "a"]).digest
    assert serialize([1, "a"]).digest != serialize([1, "b"]).digest


def test_functions_and_local_classes_survive() -> None:
    class Local:
        def double(self, x: int) -> int:
            return 2 * x

    offset = 5
    assert round_trip(lambda x: x + offset)(1) == 6
    assert round_trip(Local)().double(4) == 8


def test_a_class_that_can_be_imported_stays_the_same_class() -> None:
    assert type(round_trip(Point(1, lambda: 0))) is Point


def test_arrays_are_neither_copied_nor_pickled_in_band() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(100_000, dtype="float64").reshape(100, 1000)
    payload = serialize({"array": array, "small": numpy.arange(3)})
    shared = [part for part in payload.parts if memoryview(part).nbytes == array.nbytes]
    assert len(shared) == 1
    assert numpy.shares_memory(numpy.frombuffer(shared[0]), array)
    assert payload.size - array.nbytes < 2000


def test_arrays_come_back_aligned_writable_and_in_place() -> None:
    numpy = pytest.importorskip("numpy")
    content = memoryview(bytearray(b"".join(bytes(p) for p in serialize(numpy.ones(5000)).parts)))
    loaded = deserialize(content)
    loaded[0] = 7
    assert loaded.ctypes.data % 8 == 0
    assert loaded.sum() == 5006
    assert numpy.shares_memory(loaded, numpy.frombuffer(content, dtype="uint8"))


@pytest.mark.parametrize("order", ["strided", "fortran"])
def test_arrays_that_do_not_lie_in_one_piece(order: str) -> None:
    numpy = pytest.importorskip("numpy")
    whole = numpy.arange(40_000).reshape(200, 200)
    array = whole[::2, ::3] if order == "strided" else numpy.asfortranarray(whole)
    assert (round_trip(array) == array).all()


def test_the_member_to_blame_is_named() -> None:
    value = {"points": [Point(1), Point(2, extra={"lock": threading.Lock()})]}
    with pytest.raises(UnpicklableArtifact) as caught:
        serialize(value, "model", "flow.py:7")
    assert "Artifact 'model' (assigned at flow.py:7), of type dict" in str(caught.value)
    assert "self.model['points'][1].extra['lock'] is a _thread.lock" in str(caught.value)


class Slotted:
    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = threading.Lock()


def test_the_member_to_blame_may_be_in_a_slot_or_in_a_closure() -> None:
    with pytest.raises(UnpicklableArtifact, match=r"self\.value\[0\]\.lock is a _thread\.lock"):
        serialize([Slotted()])
    lock = threading.Lock()
    with pytest.raises(UnpicklableArtifact, match="self.value.<lock of its closure> is a _thread"):
        serialize(lambda: lock)


def test_other_formats_are_refused() -> None:
    with pytest.raises(CorruptBlob, match="format 9"):
        deserialize(memoryview(b"\x09" + b"\x00" * 15))
    with pytest.raises(CorruptBlob, match="only 3 bytes"):
        deserialize(memoryview(b"abc"))


def test_dump_is_plain_pickle_where_that_suffices() -> None:
    import pickle

    assert dump([1, 2]) == pickle.dumps([1, 2], 5)


def large(shrinks: bool) -> list[dict[str, object]]:
    """Values whose pickle is larger than a few pieces."""
    noise = random.Random(0).randbytes(40_000_000)
    if shrinks:
        return [{"id": n, "text": f"lorem ipsum {n} dolor sit amet " * 4} for n in range(300_000)]
    return [{"id": n, "text": noise[100 * n : 100 * n + 100]} for n in range(400_000)]


@pytest.mark.parametrize("shrinks", [True, False])
def test_large_pickles_are_hashed_and_compressed_while_they_are_made(
    tmp_path: Path, shrinks: bool
) -> None:
    value = large(shrinks)
    payload = serialize(value)
    assert payload.content.digests
    assert (payload.content.packed is not None) is shrinks
    blobs = BlobStore(FolderStorage(str(tmp_path)), "F")
    assert payload.store(blobs) == payload.digest
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert (file.stat().st_size < payload.size / 2) is shrinks
    assert deserialize(blobs.get(payload.digest)) == value
    assert deserialize(blobs.open(payload.digest)) == value
    assert payload.store(blobs) == payload.digest  # it is there


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowsdk.artifacts.serializer._STREAM_FROM", 1024 * 1024)


def packed(tmp_path: Path, value: object) -> Unpacking:
    blobs = BlobStore(FolderStorage(str(tmp_path)), "F")
    content = blobs.open(serialize(value).store(blobs))
    assert isinstance(content, Unpacking)
    return content


@pytest.mark.usefixtures("streaming")
def test_a_large_pickle_is_loaded_in_the_memory_of_a_few_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = large(shrinks=True)
    content = packed(tmp_path, value)
    monkeypatch.setattr(content, "whole", lambda: pytest.fail("loaded as a whole"))
    assert deserialize(content) == value


@pytest.mark.usefixtures("streaming")
def test_what_has_buffers_too_is_loaded_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numpy = pytest.importorskip("numpy")
    value = [large(shrinks=True), numpy.zeros(1_000_000)]
    content = packed(tmp_path, value)
    monkeypatch.setattr(content, "stream", lambda: pytest.fail("loaded as a stream"))
    rows, zeros = deserialize(content)
    assert rows == value[0]
    assert (zeros == value[1]).all()


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("where", [0, 4, 100])
def test_damage_is_noticed_before_anything_is_loaded(tmp_path: Path, where: int) -> None:
    value = [n % 100 for n in range(4_000_000)]
    packed(tmp_path, value)
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    data = bytearray(file.read_bytes())
    data[HEADER.size + where] ^= 1
    file.write_bytes(data)
    with pytest.raises(CorruptBlob, match=f"Blob .*{file.name}: .*Delete the object"):
        deserialize(BlobStore(FolderStorage(str(tmp_path)), "F").open(file.name))


def test_a_large_pickle_that_only_cloudpickle_can_make() -> None:
    value = [large(shrinks=True), lambda: 7]
    payload = serialize(value)
    assert payload.content.packed is not None
    assert serialize(value[0]).size < payload.size < serialize(value[0]).size + 10_000


def test_what_was_written_in_vain_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    class Noted(Spool):
        made: ClassVar[list[weakref.ref[Spool]]] = []

        def __init__(self, lead: int) -> None:
            super().__init__(lead)
            assert not [one for one in self.made if one()], "the first try is still in memory"
            self.made.append(weakref.ref(self))

    monkeypatch.setattr("flowsdk.artifacts.serializer.Spool", Noted)
    serialize([large(shrinks=False), lambda: 7])
    assert len(Noted.made) == 2


def test_a_bytearray_is_stored_as_it_was() -> None:
    value = bytearray(random.Random(0).randbytes(40_000_000))
    payload = serialize([value])
    value[20_000_000] ^= 1
    value.append(1)
    assert payload.digest == digest_of(payload.parts)


def test_a_large_value_that_cannot_be_serialized() -> None:
    before = threading.active_count()
    with pytest.raises(UnpicklableArtifact, match=r"self\.value\[1\]"):
        serialize([large(shrinks=True), threading.Lock()])
    assert threading.active_count() == before
