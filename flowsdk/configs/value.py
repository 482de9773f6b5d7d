"""``ConfigValue``: a read-only dict whose keys are attributes too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from flowsdk.exception import did_you_mean


class ConfigValue(dict[str, Any]):
    """The value of a Config: ``config.model.depth`` and ``config["model"]["depth"]`` are the same.

    Dicts inside it, also in lists, are ConfigValues as well. It cannot be changed. A key that is also
    the name of a method of ``dict``, such as ``items``, is read with brackets.

    Args:
        data: What it holds.
    """

    __slots__ = ()

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__({key: _wrapped(value) for key, value in data.items()})

    def __getattr__(self, key: str) -> Any:
        if key in self:
            return self[key]
        if key.startswith("__"):  # asked for by copy, pickle and the like, not by people
            raise AttributeError(key)
        found = ", ".join(map(repr, self)) or "nothing"
        near = did_you_mean(key, map(str, self))
        raise AttributeError(f"config has no {key!r} here, found {found}.{near}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(str(key) for key in self if str(key).isidentifier())]

    def to_dict(self) -> dict[str, Any]:
        """A plain dict of the same content, which may be changed."""
        return {key: _plain(value) for key, value in self.items()}

    def copy(self) -> ConfigValue:
        """Another one of the same content."""
        return ConfigValue(self)

    def __reduce__(self) -> Any:
        return type(self), (self.to_dict(),)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("ConfigValue is immutable. Change a copy: config.to_dict().")

    __setitem__ = __delitem__ = __setattr__ = __delattr__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse
    __ior__ = _refuse


def _wrapped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value if isinstance(value, ConfigValue) else ConfigValue(value)
    if isinstance(value, (list, tuple)):
        return [_wrapped(element) for element in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return value
