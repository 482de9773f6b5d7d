"""Values to bytes and back: pickle protocol 5 with large buffers laid out beside the pickle.

Layout of the content (numbers little endian): ``version (4) | number of buffers (4) | length of the
pickle (8)``, then the pickle, then each buffer on a 64-byte boundary, then the length of each buffer (8
each). Arrays and frames are neither copied into the pickle nor out of it, and a mapped blob can be used in
place. Of version 1 the lengths of the buffers come before the pickle.
"""

from __future__ import annotations

import copyreg
import gc
import io
import pickle
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from types import FunctionType
from typing import Any, TypeVar

from flowsdk.artifacts.reducers import qualified_name, reducers
from flowsdk.datastore.blobs import BlobStore
from flowsdk.datastore.hashing import Digests, digests_of
from flowsdk.datastore.spool import Spool, Spooled
from flowsdk.datastore.storage import Buffer
from flowsdk.datastore.unpacking import Unpacking
from flowsdk.exception import CorruptBlob, UnpicklableArtifact

SERIALIZER = "pickle"
_VERSION = 2
_HEAD = struct.Struct("<IIQ")
_ALIGN = 64
#: Smaller buffers go into the pickle: a buffer of their own costs more than the copy saves.
_OUT_OF_BAND_FROM = 4096
#: A pickle of this size may have objects enough to occupy the garbage collector.
_MANY_FROM = 1024 * 1024
#: Compressed contents from this size on are unpickled while they are decompressed.
_STREAM_FROM = 128 * 1024 * 1024
#: How deep an unpicklable value is searched for the member to blame.
_SEARCH_DEPTH = 6
_File = TypeVar("_File", io.BytesIO, Spool)
#: Type → how pickle stores its values.
_Table = Mapping[type, Callable[[Any], Any]]


@dataclass(frozen=True)
class Payload:
    """A serialized value.

    Attributes:
        content: Its bytes.
    """

    content: Spooled = field(repr=False)

    @property
    def parts(self) -> Sequence[Buffer]:
        """The content, to be concatenated; empty where it is compressed only."""
        return self.content.parts

    @cached_property
    def size(self) -> int:
        """Bytes."""
        if self.content.packed:
            return self.content.packed.size
        return sum(memoryview(part).nbytes for part in self.parts)

    @property
    def digest(self) -> str:
        """Names the content."""
        return self._digests.name

    @cached_property
    def _digests(self) -> Digests:
        return self.content.digests or digests_of(self.parts)

    def store(self, blobs: BlobStore) -> str:
        """Store the content unless it is there. Returns its digest."""
        if self.content.packed:
            return blobs.put_packed(self.content.packed, self.digest)
        return blobs.put(self.parts, self._digests)


def serialize(value: Any, name: str = "value", where: str = "") -> Payload:
    """The payload of ``value``; it refers to the value's own buffers, which must not change.

    Args:
        value: Anything that pickle or cloudpickle can handle.
        name: What to call it in an error.
        where: ``file:line`` at which it was assigned, for an error.

    Raises:
        UnpicklableArtifact: Neither can; the message names the member to blame.
    """
    buffers: list[memoryview] = []
    try:
        spool = _pickled(value, lambda: Spool(_HEAD.size), buffers)
    except RecursionError:
        raise
    except Exception as error:  # pickling runs arbitrary __reduce__ methods
        path, culprit = _find_culprit(value, f"self.{name}")
        assigned = f" (assigned at {where})" if where else ""
        raise UnpicklableArtifact(
            f"Artifact {name!r}{assigned}, of type {_type_name(value)}, cannot be serialized: "
            f"{path} is a {_type_name(culprit)} ({error}). Assign something that can be pickled, or "
            f"keep it in a local variable."
        ) from error
    lead = _HEAD.pack(_VERSION, len(buffers), spool.size - _HEAD.size)
    rest: list[Buffer] = []
    at = spool.size
    for buffer in buffers:
        gap = -at % _ALIGN
        rest += [bytes(gap), buffer]
        at += gap + buffer.nbytes
    if buffers:
        rest.append(struct.pack(f"<{len(buffers)}Q", *(buffer.nbytes for buffer in buffers)))
    with closing(spool):
        return Payload(spool.finish(lead, rest))


def deserialize(content: memoryview | Unpacking) -> Any:
    """The value that :func:`serialize` wrote.

    Args:
        content: The whole content. Buffers of the value refer to it, so it must not be reused. What is
            compressed needs never be in memory as a whole, unless the value has such buffers.

    Raises:
        CorruptBlob: The content is of another format or version, or not what was stored.
    """
    if isinstance(content, Unpacking):
        if content.size >= _STREAM_FROM and _is_mere_pickle(content.head(_HEAD.size)):
            with content.stream() as file, _without_gc():
                file.read(_HEAD.size)
                return pickle.load(file)
        content = content.whole()
    if content.nbytes < _HEAD.size:
        raise CorruptBlob(f"An artifact's content has only {content.nbytes} bytes.")
    version, count, pickle_size = _HEAD.unpack(content[: _HEAD.size])
    if version not in (1, _VERSION):
        raise CorruptBlob(
            f"An artifact was written in format {version}; this flowsdk reads formats up to {_VERSION}."
        )
    at = _HEAD.size if version == _VERSION else _HEAD.size + 8 * count
    lengths = content.nbytes - 8 * count if version == _VERSION else _HEAD.size
    sizes = struct.unpack(f"<{count}Q", content[lengths : lengths + 8 * count])
    stream = content[at : at + pickle_size]
    at += pickle_size
    buffers = []
    for size in sizes:
        at += -at % _ALIGN
        buffers.append(content[at : at + size])
        at += size
    if stream.nbytes < _MANY_FROM:
        return pickle.loads(stream, buffers=buffers)
    with _without_gc():
        return pickle.loads(stream, buffers=buffers)


def _is_mere_pickle(head: bytes) -> bool:
    """Whether what begins like this has no buffers beside the pickle."""
    version, count, _ = _HEAD.unpack(head)
    return version == _VERSION and not count


@contextmanager
def _without_gc() -> Iterator[None]:
    """Make many objects at once, without the collector looking at all of them again and again."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        if not gc.get_freeze_count():
            # They count as old now, and not as so many new ones that all must be looked at at once.
            gc.freeze()
            gc.unfreeze()
    finally:
        gc.enable()


def dump(value: Any) -> bytes:
    """A protocol-5 pickle of ``value``, for whoever has pickle.

    Plain pickle first: it is fastest and stores what is importable by name, so that a class of the
    flow file stays that class in every step. What it cannot store – lambdas, local functions and
    classes – cloudpickle stores by value.
    """
    return _pickled(value, io.BytesIO).getvalue()


def _pickled(
    value: Any, make: Callable[[], _File], buffers: list[memoryview] | None = None
) -> _File:
    """A file with the pickle of ``value``; large buffers are appended to ``buffers`` if given."""
    told = reducers(in_place=buffers is not None)
    keep = None if buffers is None else _collector(buffers)
    try:
        return _dump(_plain_pickler, value, make(), keep, told)
    except (pickle.PicklingError, AttributeError, TypeError):
        pass  # and out of here: the error refers to all that has been written
    if buffers:
        buffers.clear()
    return _dump(_cloud_pickler, value, make(), keep, told)


def _dump(make: Callable[..., Any], value: Any, file: _File, keep: Any, told: _Table) -> _File:
    """Pickle a value into a file, which is closed if that fails."""
    try:
        make(file, keep, told).dump(value)
    except BaseException:
        file.close()
        raise
    return file


def _plain_pickler(file: Any, keep: Any, told: _Table) -> Any:
    pickler = pickle.Pickler(file, protocol=5, buffer_callback=keep)
    pickler.dispatch_table = {**copyreg.dispatch_table, **told}
    return pickler


def _cloud_pickler(file: Any, keep: Any, told: _Table) -> Any:
    import cloudpickle

    # It takes the table from its class.
    table = {**cloudpickle.Pickler.dispatch_table, **told}
    kind = type("Pickler", (cloudpickle.Pickler,), {"dispatch_table": table})
    return kind(file, protocol=5, buffer_callback=keep)


def _collector(buffers: list[memoryview]) -> Any:
    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        try:
            raw = buffer.raw()
        except BufferError:  # not contiguous
            return True
        if raw.nbytes < _OUT_OF_BAND_FROM:
            return True
        buffers.append(raw)
        return False

    return keep_in_band


def _find_culprit(value: Any, path: str, depth: int = 0) -> tuple[str, Any]:
    """The path to, and the value of, the innermost member that cannot be pickled."""
    if depth < _SEARCH_DEPTH:
        for step, member in _members(value):
            if not _picklable(member):
                return _find_culprit(member, path + step, depth + 1)
    return path, value


def _members(value: Any) -> list[tuple[str, Any]]:
    if hasattr(type(value), "_flow_own_decorators"):
        return []  # a flow, to be blamed itself: its members are its own affair
    if isinstance(value, dict):
        return [(f"[{key!r}]", member) for key, member in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{index}]", member) for index, member in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return [("{…}", member) for member in value]
    if isinstance(value, FunctionType):
        return _closure(value)
    slots = [slot for kind in type(value).__mro__ for slot in _slots(kind) if hasattr(value, slot)]
    state = getattr(value, "__dict__", None)
    members = state if isinstance(state, dict) else {}
    return [(f".{key}", member) for key, member in members.items()] + [
        (f".{slot}", getattr(value, slot)) for slot in slots
    ]


def _closure(function: FunctionType) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # a cell that has no value yet
            found.append((f".<{name} of its closure>", cell.cell_contents))
    return found


def _slots(kind: type) -> Sequence[str]:
    slots = kind.__dict__.get("__slots__", ())
    return [slots] if isinstance(slots, str) else [s for s in slots if not s.startswith("__")]


def _picklable(value: Any) -> bool:
    try:
        _pickled(value, io.BytesIO, [])
    except Exception:  # noqa: BLE001  # pickling runs arbitrary __reduce__ methods
        return False
    return True


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else qualified_name(kind)
