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

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60
_repr.maxlevel = 2


def preview(value: Any) -> str | None:
    """At most 100 characters that tell what ``value`` is, or None.

    Only built-in types are printed: a foreign ``__repr__`` may be slow, huge or show secrets. Of
    other values the type is shown, with the shape or length if they have one.
    """
    if isinstance(value, _SAFE) or type(value) in _CONTAINERS:
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
    if isinstance(value, _SAFE):
        return f"{value:g}" if isinstance(value, float) else repr(value)
    return type(value).__name__
