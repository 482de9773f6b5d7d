"""Whether a step has changed a constant of its flow in place, which no other step would see."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any

_MUTABLE = (list, dict, set, bytearray)


class ConstantsWatch:
    """What the constants of a flow are at one moment, to be compared with what they are later.

    Only containers are looked at: to change anything else in place is rare, and each is pickled
    twice. The stored values would not do for comparison: a resumed run has those of its origin,
    whose code may have been another.

    Args:
        constants: Gives the constants by name, at any moment.
    """

    def __init__(self, constants: Callable[[], Mapping[str, Any]]) -> None:
        self._constants = constants
        self._before = _fingerprints(constants())

    def changed(self) -> list[str]:
        """The names of those that have been changed since."""
        if not self._before:
            return []
        now = _fingerprints(self._constants())
        return [name for name, before in self._before.items() if now.get(name, before) != before]


def _fingerprints(values: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for name, value in values.items():
        if isinstance(value, _MUTABLE):
            try:
                found[name] = hash(pickle.dumps(value, protocol=5))
            except Exception:  # noqa: BLE001, S112  # only by value, or another thread is changing it
                continue
    return found
