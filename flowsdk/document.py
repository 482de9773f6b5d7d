"""Documents: frozen dataclasses with one canonical JSON form, so that equal values are equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, TypeVar

from flowsdk.exception import UnreadableDocument

#: Raised by one when a reader of the old form could misunderstand the new one.
SCHEMA_VERSION = 2
T = TypeVar("T", bound="Document")


class Document:
    """A dataclass with one canonical JSON form that carries the schema version.

    Fields may hold JSON values, dataclasses, and values with a ``to_plain`` that gives their JSON
    form. Subclasses with fields that JSON does not read back by itself override ``_build``.
    """

    #: Fields with JSON values by name, of which each is kept as a text: the keys of the document are
    #: sorted, and the order of theirs is part of what a flow is given.
    _texts: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``from_dict`` reads them back."""
        values = {"schema_version": SCHEMA_VERSION, **_plain_fields(self)}
        for field in self._texts:
            if values[field] is not None:
                values[field] = {name: json.dumps(v) for name, v in values[field].items()}
        return values

    def to_json(self) -> bytes:
        """Canonical: keys sorted, no white space, UTF-8."""
        return canonical_json(self.to_dict())

    @classmethod
    def from_json(cls: type[T], data: bytes | str, where: str = "") -> T:
        """Read what ``to_json`` wrote.

        Args:
            data: The JSON text.
            where: What is being read (a URI), for the error message.

        Raises:
            UnreadableDocument: Not JSON, of another schema version, or fields missing or unknown.
        """
        try:
            values = json.loads(data)
        except ValueError as error:
            raise UnreadableDocument(f"{cls.__name__} is not JSON ({where}): {error}.") from error
        return cls.from_dict(values, where)

    @classmethod
    def from_dict(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
        """Read what ``to_dict`` made; raises as ``from_json`` does."""
        values = dict(values)
        version = values.pop("schema_version", None)
        if version != SCHEMA_VERSION:
            older = isinstance(version, int) and version < SCHEMA_VERSION
            raise UnreadableDocument(
                f"{cls.__name__} of schema version {version} ({where}): this flowsdk reads version "
                f"{SCHEMA_VERSION}. Use the flowsdk version that wrote it{', or a newer one' * (not older)}."
            )
        try:
            for field in cls._texts:
                if values[field] is not None:
                    values[field] = {name: json.loads(text) for name, text in values[field].items()}
            return cls._build(values)
        except (TypeError, ValueError, KeyError) as error:
            raise UnreadableDocument(f"{cls.__name__} is malformed ({where}): {error}.") from error

    @classmethod
    def _build(cls: type[T], values: dict[str, Any]) -> T:
        return cls(**values)


def canonical_json(value: Any) -> bytes:
    """The one JSON text of a value: keys sorted, no white space, UTF-8."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    # A file name that is no UTF-8 holds lone surrogates; escaped they are valid JSON.
    return text.encode("utf-8", "backslashreplace")


def _plain_fields(value: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}


def _plain(value: Any) -> Any:
    if hasattr(value, "to_plain"):
        return value.to_plain()
    if hasattr(value, "__dataclass_fields__"):
        return _plain_fields(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
