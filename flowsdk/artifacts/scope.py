"""The artifacts that one flow object sees: loaded when touched, stored when changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Literal

from flowsdk.artifacts.in_place import is_in_place
from flowsdk.artifacts.preview import preview
from flowsdk.artifacts.reducers import qualified_name
from flowsdk.artifacts.serializer import (
    SERIALIZER,
    Payload,
    deserialize,
    serialize,
)
from flowsdk.datastore.blobs import BlobStore
from flowsdk.datastore.parallel import in_parallel
from flowsdk.datastore.storage import MappedFile, Storage
from flowsdk.exception import ArtifactNotFound, did_you_mean
from flowsdk.spec import ArtifactRef

#: Values of these types cannot change in place: loaded and not reassigned means unchanged.
_IMMUTABLE = (bool, int, float, complex, str, bytes, type(None))
_PARALLEL = 16
#: How much of its siblings' same artifact a join reads ahead, in bytes.
_READ_AHEAD = 64 * 1024 * 1024
_READ_AHEAD_COUNT = 256


class Scope:
    """References to the artifacts visible at one place, and their values once loaded.

    Args:
        storage: Where the blobs lie.
        blobs: The blobs.
        refs: The visible artifacts.
    """

    def __init__(self, storage: Storage, blobs: BlobStore, refs: Mapping[str, ArtifactRef]) -> None:
        self._storage = storage
        self.blobs = blobs
        self.refs = dict(refs)
        self._siblings: Sequence[Scope] = ()
        self._position = 0
        self._ahead: dict[str, memoryview] = {}
        self._loaded: dict[str, memoryview] = {}
        #: Names of parameters and constants that the last :meth:`changed` found changed in place.
        self.changed_in_vain: list[str] = []

    def load(self, name: str) -> Any:
        """The value of an artifact, freshly deserialized.

        Raises:
            ArtifactNotFound: There is none of that name; the message names near misses.
        """
        ref = self.refs.get(name)
        if ref is None:
            raise ArtifactNotFound(f"No artifact {name!r} here.{did_you_mean(name, self.refs)}")
        if self._siblings and name not in self._ahead:
            self._read_ahead(name)
        ahead = self._ahead.pop(name, None)
        content = self.blobs.open(ref.digest) if ahead is None else ahead
        if isinstance(content, memoryview) and isinstance(content.obj, MappedFile):
            self._loaded[name] = content
        return deserialize(content)

    def changed(
        self,
        values: Mapping[str, Any],
        loaded: Mapping[str, Any],
        origin: str,
        kinds: Mapping[str, Literal["parameter", "constant"]] | None = None,
        places: Mapping[str, str] | None = None,
        untouched: Set[str] = frozenset(),
    ) -> dict[str, ArtifactRef]:
        """Store the values that are new or changed.

        Args:
            values: Everything that the flow object holds.
            loaded: The objects that were loaded from this scope, by name.
            origin: ``step/task/attempt`` of the task that stores them.
            kinds: Of the new names that are not ordinary artifacts.
            places: Where values were assigned, as ``file:line``, for errors.
            untouched: Names of loaded artifacts that are known to be as they were.

        Returns:
            A reference for every name in ``values``; the old one where nothing changed.

        Raises:
            UnpicklableArtifact: A value cannot be serialized. Nothing has been stored then.
        """
        refs: dict[str, ArtifactRef] = {}
        self.changed_in_vain = []
        payloads: list[Payload] = []
        for name, value in values.items():
            old = self.refs.get(name)
            was_loaded = name in loaded and loaded[name] is value
            if old and was_loaded and (name in untouched or type(value) in _IMMUTABLE):
                refs[name] = old
                continue
            payload = serialize(value, name, (places or {}).get(name, ""))
            if old and self._is_unchanged(name, old, payload, was_loaded):
                refs[name] = old
                continue
            if old and old.kind != "artifact":
                refs[name] = old
                self.changed_in_vain.append(name)
                continue
            payloads.append(payload)
            refs[name] = ArtifactRef(
                digest=payload.digest,
                size=payload.size,
                type=qualified_name(type(value)),
                serializer=SERIALIZER,
                origin=origin,
                kind=(kinds or {}).get(name, "artifact"),
                preview=preview(value),
            )
        self._store(payloads)
        return refs

    def _is_unchanged(self, name: str, old: ArtifactRef, payload: Payload, loaded: bool) -> bool:
        if loaded and name in self._loaded and is_in_place(payload.parts, self._loaded[name]):
            return True
        return old.digest == payload.digest or (loaded and self._was_only_read(old, payload))

    def _was_only_read(self, old: ArtifactRef, payload: Payload) -> bool:
        """Whether a loaded value is still what was loaded, although its bytes differ from the blob's.

        A pickle need not come out the same after it has been loaded: strings are interned, arrays
        become contiguous. A second copy that nobody has touched shows how it comes out.
        """
        untouched = deserialize(self.blobs.open(old.digest))
        return serialize(untouched).digest == payload.digest

    def _store(self, payloads: Sequence[Payload]) -> None:
        threads = min(_PARALLEL, len(payloads)) if self._storage.remote else 1
        in_parallel(threads, lambda payload: payload.store(self.blobs), payloads)

    def _read_ahead(self, name: str) -> None:
        """Fetch the same artifact of this and the next siblings at once: a join reads them in turn."""
        wanted: list[tuple[Scope, ArtifactRef]] = []
        room = _READ_AHEAD
        for scope in self._siblings[self._position : self._position + _READ_AHEAD_COUNT]:
            ref = scope.refs.get(name)
            if ref is None or name in scope._ahead:
                continue
            room -= ref.size
            if wanted and room < 0:
                break
            wanted.append((scope, ref))
        if len(wanted) < 2:
            return
        threads = min(_PARALLEL, len(wanted))
        contents = in_parallel(threads, lambda item: self.blobs.get(item[1].digest), wanted)
        for (scope, _), content in zip(wanted, contents, strict=True):
            scope._ahead[name] = content


def link_siblings(scopes: Iterable[Scope]) -> None:
    """Let the inputs of a join read ahead for each other, where reading waits for a network."""
    linked = list(scopes)
    for position, scope in enumerate(linked):
        if scope._storage.remote and len(linked) > 1:
            scope._siblings = linked
            scope._position = position
