"""Short printable forms of values, for people who look at a run without loading its artifacts."""

from __future__ import annotations

import reprlib
from typing import Any

#: Long enough for a number, a path or a few list items; a hundred of them still make a small result.
_LIMIT = 100
_SAFE = (bool, int, float, complex, str, bytes, type(None))
_CONTAINERS = (list, tuple, dict, set, frozenset)
#: A split's name has to fit on a button.
_LABEL_LIMIT = 40


class _SafeRepr(reprlib.Repr):
    """Prints built-in values; of all others, also inside containers, the type."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60
        self.maxlevel = 2

    def repr_instance(self, x: Any, level: int) -> str:  # noqa: ARG002  # reprlib's signature
        """Never a foreign ``__repr__``."""
        return repr(x) if type(x) in _SAFE else type(x).__name__


_repr = _SafeRepr()


def preview(value: Any) -> str | None:
    """At most 100 characters that tell what ``value`` is, or None.

    Only built-in types are printed: a foreign ``__repr__`` may be slow, huge or show secrets. Of
    other values the type is shown, with the shape if they have one.
    """
    try:
        return _preview(value)
    except Exception:  # noqa: BLE001  # a foreign property may raise anything; a preview is a favour
        return None


def _preview(value: Any) -> str:
    if type(value) in _SAFE or type(value) in _CONTAINERS:
        return _repr.repr(value)[:_LIMIT]
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape):
        dtype = getattr(value, "dtype", "")
        return f"{type(value).__name__} {' × '.join(map(str, shape)) or 'scalar'} {dtype}".strip()
    return type(value).__name__[:_LIMIT]


def split_label(value: Any, index: int) -> str:
    """A name of at most 40 characters for one split of a foreach."""
    if isinstance(value, dict):
        text = ", ".join(f"{key}={_short(item)}" for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        text = ", ".join(_short(item) for item in value)
    else:
        text = _short(value)
    text = " ".join(text.split())
    if not text:
        return str(index)
    return text if len(text) <= _LABEL_LIMIT else text[: _LABEL_LIMIT - 1] + "…"


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    if type(value) is float:
        return f"{value:g}"
    return _repr.repr(value) if type(value) in _SAFE else type(value).__name__
