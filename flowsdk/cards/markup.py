"""Turning values into HTML text. Whatever comes from a user is escaped here, and only here.

Secrets are replaced here too: a card is stored, and secrets are not.
"""

from __future__ import annotations

import html
import json
import math
import re
import reprlib
from collections.abc import Mapping, Set
from datetime import date, datetime, time
from typing import Any

from flowsdk.runtime.redaction import redact

#: What an attribute may say about a size: a number and a unit of CSS, nothing else.
_CSS_LENGTH = re.compile(r"\d+(\.\d+)?(px|em|rem|vh|vw|%|pt|ch)?")
_DEEPEST = 40
_LONGEST_TEXT = 100_000


def escape(value: object) -> str:
    """``str(value)`` as text of an element or of a quoted attribute."""
    return html.escape(redact(str(value)), quote=True)


def css_length(value: object) -> str | None:
    """``value`` if it is a length that CSS knows (``300``, ``"300px"``, ``"50vh"``), else None."""
    text = f"{value}".strip()
    if not _CSS_LENGTH.fullmatch(text):
        return None
    return text if not text[-1].isdigit() else f"{text}px"


def embedded_json(value: Any) -> str:
    """JSON that can stand in a ``script`` element: nothing in it can end the element."""
    text = json.dumps(plain(value), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plain(value: Any, depth: int = 0) -> Any:
    """``value`` in the types that JSON has; what has no such form becomes text.

    Numbers that JSON lacks (NaN, infinities) become None, numpy's become Python's.
    """
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > _DEEPEST:
        return short_repr(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, Set):
        return [plain(item, depth + 1) for item in sorted(value, key=repr)]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    for convert in ("tolist", "to_dict"):  # numpy's scalars and arrays; frames
        if callable(method := getattr(value, convert, None)) and not isinstance(value, type):
            return plain(method(), depth + 1)
    return text_of(value)


def text_of(value: object) -> str:
    """``str(value)``, also of an object whose ``__str__`` fails; cut where it is endless."""
    try:
        text = str(value)
    except Exception:  # noqa: BLE001  # a foreign __str__ may raise anything
        text = f"<{type(value).__name__}>"
    text = redact(text)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 5
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 50
        self.maxarray = self.maxdeque = 50
        self.maxstring = self.maxother = 2000
        self.maxlong = 200


_repr = _Repr()


def short_repr(value: object) -> str:
    """A ``repr`` of bounded length, also of an object whose ``__repr__`` fails."""
    try:
        return redact(_repr.repr(value))
    except Exception:  # noqa: BLE001  # as above
        return f"<{type(value).__name__}>"


def type_name(value: object) -> str:
    """The class of a value as a reader knows it: ``pandas.core.frame.DataFrame``, but ``dict``."""
    kind = type(value)
    name = kind.__qualname__
    return name if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{name}"


def failure(what: str, why: str) -> str:
    """A box that says what could not be shown, and why."""
    return (
        f'<div class="failure" role="note"><strong>{escape(what)}</strong>'
        f"<pre>{escape(why)}</pre></div>"
    )
