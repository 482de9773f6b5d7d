"""Expressions of Configs: written where no Config has a value yet, evaluated once all have."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from flowsdk.exception import ConfigError, did_you_mean

#: Keyword under which ``**config.x`` hands an expression to a call; the rest makes it unique.
UNPACKED = "_unpacked_config_"
#: What attributes of decorators mostly are; they are looked at for each step of each flow.
_PLAIN = frozenset({type(None), bool, int, float, str})
_CONTAINERS = frozenset({dict, list, tuple})


class ConfigExpression:
    """What ``config.a.b`` and ``config_expr("…")`` are while a flow class is being defined.

    ``.name`` and ``["key"]`` extend it and ``**`` unpacks it; whatever takes it, such as a decorator
    or a Parameter, sees the value once the flow's Configs are known.

    Args:
        text: A Python expression of the flow's Configs, by name.
        names: What else the expression can name.
        location: ``file:line`` where it stands, for messages.
    """

    #: Asked of anything that stands in a flow class; here it would be taken for a key.
    is_step = False

    def __init__(
        self, text: str, names: Mapping[str, Any] | None = None, location: str = ""
    ) -> None:
        self._text = text
        self._names = names or {}
        self._location = location

    def __getattr__(self, key: str) -> ConfigExpression:
        if key.startswith("_"):  # asked for by copy, pickle and the like, not by people
            raise AttributeError(key)
        return ConfigExpression(f"{_operand(self._text)}.{key}", self._names, self._location)

    def __getitem__(self, key: Any) -> ConfigExpression:
        if isinstance(key, str) and key.startswith(UNPACKED):
            return self
        inner = key._text if isinstance(key, ConfigExpression) else repr(key)
        return ConfigExpression(f"{_operand(self._text)}[{inner}]", self._names, self._location)

    def keys(self) -> Iterator[str]:
        """For ``**``: the one key under which the expression itself is handed on."""
        yield f"{UNPACKED}{id(self)}"

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"{self._why_not('be iterated over')}")

    def __bool__(self) -> bool:
        raise TypeError(f"{self._why_not('be tested')}")

    def __copy__(self) -> ConfigExpression:
        return self  # immutable

    def __deepcopy__(self, _: Any) -> ConfigExpression:
        return self

    def __repr__(self) -> str:
        return f"config_expr({self._text!r})"

    def _why_not(self, what: str) -> str:
        return (
            f"{self!r} ({self._location}) cannot {what} while the class is being defined, its value "
            f"is not known yet. Write the whole of it in quotes: config_expr('…')."
        )

    def _evaluate(self, flow: type) -> Any:
        from flowsdk.configs.resolving import config_values

        values = config_values(flow)
        try:
            return eval(self._text, dict(self._names), dict(values))  # noqa: S307  # the author's own code
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            near = did_you_mean(error.name or "", values) if isinstance(error, NameError) else ""
            raise ConfigError(
                f"Config expression {self._text!r} ({self._location}): {said}"
                f"{'' if said.endswith(('.', '?')) else '.'}{near} Configs of {flow.__name__}: "
                f"{', '.join(values) or 'none'}."
            ) from error


def config_expr(expr: str) -> ConfigExpression:
    """An expression of Configs for places where they have no value yet: decorators, Parameters.

    Args:
        expr: A Python expression. It sees the flow's Configs by their names, and the names of the
            module in which it stands: ``config_expr("config.cpu * 2")``.
    """
    frame = sys._getframe(1)
    return ConfigExpression(expr, frame.f_globals, f"{frame.f_code.co_filename}:{frame.f_lineno}")


def has_expressions(value: Any) -> bool:
    """Whether there is an expression in a value or, for dicts, lists, tuples and sets, inside it."""
    kind = type(value)
    if kind in _PLAIN:
        return False
    if kind not in _CONTAINERS and _is_expression(value):
        return True
    if kind is dict or isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    elif not isinstance(value, (list, tuple, set)):
        return False
    members = [has_expressions(member) for member in value if type(member) not in _PLAIN]
    return any(members)


def evaluate(value: Any, flow: type) -> Any:
    """A value with every expression in it replaced by its own value.

    Args:
        value: Anything; dicts, lists, tuples and sets are searched. In a dict, what ``**`` has
            unpacked becomes entries; the last of several entries of a key wins, as in any dict.
        flow: The flow class whose Configs count.

    Raises:
        ConfigError: An expression cannot be evaluated, or unpacks what is no dict.
    """
    if not has_expressions(value):
        return value
    if _is_expression(value):
        return copy.deepcopy(_plain(value._evaluate(flow)))
    if isinstance(value, Mapping):
        return _evaluate_mapping(value, flow)
    return type(value)(evaluate(element, flow) for element in value)


def _evaluate_mapping(value: Mapping[Any, Any], flow: type) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, member in value.items():
        result = evaluate(member, flow)
        if not (isinstance(key, str) and key.startswith(UNPACKED)):
            found[evaluate(key, flow)] = result
        elif isinstance(result, Mapping):
            found.update(result)
        else:
            raise ConfigError(f"**{member!r}: found {result!r}, expected a dict.")
    return found


def _is_expression(value: Any) -> bool:
    from flowsdk.configs.config import Config

    return isinstance(value, (ConfigExpression, Config))


def _plain(value: Any) -> Any:
    from flowsdk.configs.value import ConfigValue

    return value.to_dict() if isinstance(value, ConfigValue) else value


def _operand(text: str) -> str:
    """``text`` so that ``.name`` can follow."""
    return text if all(part.isidentifier() for part in text.split(".")) else f"({text})"
