"""A storage on top of another one that it leaves as it is."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from flowsdk.datastore.storage import Buffer, Entry, Storage
from flowsdk.exception import KeyNotFound

if TYPE_CHECKING:
    from flowsdk.datastore.hashing import PieceDigests


class LayeredStorage(Storage):
    """Everything is written to the upper storage; what is not there is read from the lower one.

    Args:
        upper: Is changed.
        lower: Is only read.
    """

    def __init__(self, upper: Storage, lower: Storage) -> None:
        self._upper = upper
        self._lower = lower
        self.root = upper.root
        self.remote = lower.remote

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        try:
            return self._upper.read(key, start, length)
        except KeyNotFound:
            return self._lower.read(key, start, length)

    def view(self, key: str, seen: PieceDigests | None = None) -> memoryview:
        try:
            return self._upper.view(key, seen)
        except KeyNotFound:
            return self._lower.view(key, seen)

    def write(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        if_absent: bool = False,
        piece_digests: Sequence[bytes] = (),
    ) -> bool:
        if if_absent and self._lower.exists(key):
            return False
        return self._upper.write(key, parts, if_absent=if_absent, piece_digests=piece_digests)

    def delete(self, keys: Sequence[str]) -> None:
        self._upper.delete(keys)

    def modified(self, key: str) -> float | None:
        upper = self._upper.modified(key)
        return self._lower.modified(key) if upper is None else upper

    def freshen(self, key: str) -> bool:
        return self._upper.freshen(key) or self._lower.exists(key)

    def entries(self, prefix: str) -> Iterator[Entry]:
        found = {entry.key: entry for entry in self._lower.entries(prefix)}
        found.update({entry.key: entry for entry in self._upper.entries(prefix)})
        return iter([found[key] for key in sorted(found)])

    def keys(self, prefix: str) -> Iterator[str]:
        return (
            key
            for key, _ in groupby(heapq.merge(self._upper.keys(prefix), self._lower.keys(prefix)))
        )

    def children(self, prefix: str) -> list[str]:
        return sorted({*self._upper.children(prefix), *self._lower.children(prefix)})
