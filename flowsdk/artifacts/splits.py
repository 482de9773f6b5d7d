"""The values of a foreach, stored so that each split reads its own and no other.

Content: ``number of values (8) | offset of each value (8 each) | end (8)``, then one pickle per
value. Ten thousand tasks thus read ten thousand small ranges, not ten thousand copies of the list.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator, Mapping, MappingView
from typing import Any

from flowsdk.artifacts.preview import split_label
from flowsdk.artifacts.serializer import dump
from flowsdk.datastore.blobs import BlobStore
from flowsdk.exception import InvalidNextException, UnpicklableArtifact
from flowsdk.spec import ForeachFrame, Splits

_NUMBER = struct.Struct("<Q")


def split_values(value: Any, var: str, *, where: str, allow_empty: bool = False) -> list[Any]:
    """What a foreach over ``value`` iterates over: items of a mapping, elements of all else.

    Args:
        value: Anything.
        var: Name of the artifact that it is.
        where: The step and its place, for messages.
        allow_empty: Whether there may be nothing.

    Raises:
        InvalidNextException: It cannot be iterated over, or is empty and must not be.
    """
    if isinstance(value, Mapping):
        value = value.items()
    try:
        values = list(value)
    except TypeError as error:
        raise InvalidNextException(
            f"foreach={var!r} in {where}: self.{var} is of type {type(value).__name__}, expected something "
            f"that can be iterated over (a list, a dict, a range, a generator …)."
        ) from error
    if not values and not allow_empty:
        raise InvalidNextException(
            f"foreach={var!r} in {where}: self.{var} is empty, expected at least one element: there would be "
            f"no split to run. Pass allow_empty=True to self.next() to go straight to the join."
        )
    return values


def is_used_up(value: Any) -> bool:
    """Whether iterating over a value leaves nothing to store of it, as with a generator."""
    return isinstance(value, (Iterator, MappingView))


def gang_splits(size: int) -> Splits:
    """The splits of a gang: iterated over nothing, each one's element is its index."""
    return Splits(var="", count=size, values="", labels=tuple(map(str, range(size))))


def store_splits(blobs: BlobStore, var: str, values: list[Any], *, where: str) -> Splits:
    """Store the values of a foreach.

    Args:
        blobs: Where they are stored.
        var: Name of the artifact that they come from.
        values: They.
        where: The step and its place, for messages.

    Raises:
        UnpicklableArtifact: One of them cannot be serialized.
    """
    pickles = []
    for index, value in enumerate(values):
        try:
            pickles.append(dump(value))
        except Exception as error:  # pickling runs arbitrary __reduce__ methods
            raise UnpicklableArtifact(
                f"foreach={var!r} in {where}: element {index}, of type {type(value).__name__}, cannot "
                f"be serialized ({error}). Iterate over something that can be pickled."
            ) from error
    digest = blobs.put([_index(pickles), *pickles], compress=False)
    labels = tuple(split_label(value, index) for index, value in enumerate(values))
    return Splits(var=var, count=len(values), values=digest, labels=labels)


def load_split(blobs: BlobStore, frame: ForeachFrame) -> Any:
    """The value of one split."""
    if not frame.values:
        return frame.index
    entry = blobs.get_range(frame.values, _NUMBER.size * (1 + frame.index), 2 * _NUMBER.size)
    start, end = _NUMBER.unpack(entry[:8])[0], _NUMBER.unpack(entry[8:])[0]
    return pickle.loads(blobs.get_range(frame.values, start, end - start))


def _index(pickles: Iterable[bytes]) -> bytes:
    sizes = [len(data) for data in pickles]

    def offsets() -> Iterator[int]:
        at = _NUMBER.size * (2 + len(sizes))
        yield len(sizes)
        for size in sizes:
            yield at
            at += size
        yield at

    return b"".join(_NUMBER.pack(number) for number in offsets())
