"""Whether two artifacts are equal although their blobs differ.

The bytes of a pickle say more than its value: a set is written in an order that depends on the hash
seed of its process, a dict that was made from one too, and an object that is there twice is
written once. Where digests differ and
much depends on it, values are therefore compared by a form in which neither shows.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from flowsdk.datastore.hashing import digest_of


def canonical_digest(value: Any) -> str | None:
    """A digest that equal values of equal types share, whatever their history.

    Much slower than pickling, because the interpreter's fast pickler writes sets as it finds them.

    Args:
        value: Any artifact.

    Returns:
        None if it has no such form: it contains itself, or what only cloudpickle can store.
    """
    try:
        return digest_of([_canonical(value)])
    except Exception:  # noqa: BLE001  # pickling runs arbitrary __reduce__ methods
        return None


def _canonical(value: Any) -> bytes:
    stream = io.BytesIO()
    _CanonicalPickler(stream).dump(value)
    return stream.getvalue()


#: The pickler in Python, whose treatment of built-in types can be changed; unknown to type checkers.
_Pickler: Any = pickle._Pickler


class _CanonicalPickler(_Pickler):  # type: ignore[misc]  # a base of unknown type
    """Pickles without a memo, and sets and dicts in the order of their canonical pickles."""

    dispatch: ClassVar[dict[type, Callable[..., None]]] = dict(_Pickler.dispatch)

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, protocol=4)
        self.fast = True

    def save_unordered(self, elements: Iterable[Any]) -> None:
        """Write a set or frozenset as its type and the sorted pickles of its elements."""
        self.save((type(elements).__name__, sorted(map(_canonical, elements))))

    def save_mapping(self, mapping: dict[Any, Any]) -> None:
        """Write a dict as its sorted items: for Python, too, their order does not count."""
        self.save(("dict", sorted(map(_canonical, mapping.items()))))

    dispatch[dict] = save_mapping
    dispatch[set] = save_unordered
    dispatch[frozenset] = save_unordered
