"""``Config``: a value of a flow that is known before its graph is."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flowsdk.configs.expression import ConfigExpression
from flowsdk.declaring import declared_at, unknown_argument
from flowsdk.exception import ConfigError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class Config:
    """A file or value that a flow is configured with, as JSON unless it has a parser.

    Declared as a class attribute. In steps, ``self.<attribute>`` is its value; while the class is
    being defined, it can stand wherever its value is wanted later: ``@resources(cpu=config.cpu)``,
    ``Parameter("depth", default=config.depth)``. On the command line ``--config NAME FILE`` or
    ``--config-value NAME JSON`` gives it, before the command.

    Args:
        name: On the command line and in expressions.
        default: Path of the file that is read if none is given, or a function of a ParameterContext
            that returns it. A relative path is looked for in the current folder, then beside the
            flow's file; where the flow is deployed, only beside the flow's file.
        default_value: What is used if there is no file either: text, to be parsed as a file is, a
            dict, or a function of a ParameterContext that returns one of them.
        help: Shown with ``--help``.
        required: Whether a value must be given where there is no default.
        parser: A function of the text that returns the value, or its name, ``"package.function"``.
        plain: Leave the value as the parser or JSON has made it, in place of a ConfigValue; then it
            need not be a dict.
        show_default: Whether the help shows the default. True by default.

    Raises:
        ConfigError: The name is malformed, or an argument is unknown.
    """

    #: Asked of anything that stands in a flow class; here it would be taken for a key.
    is_step = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Refuse arguments that there are not, with the line that gives them."""
        if wrong := unknown_argument(cls, kwargs):
            name = args[0] if args else kwargs.get("name")
            raise ConfigError(f"{cls.__name__} {name!r} ({declared_at()}): {wrong}")
        return super().__new__(cls)

    def __init__(
        self,
        name: str,
        default: str | Callable[[Any], str] | None = None,
        default_value: str | Mapping[str, Any] | Callable[[Any], Any] | None = None,
        help: str | None = None,
        required: bool | None = None,
        parser: str | Callable[[str], Any] | None = None,
        plain: bool = False,
        show_default: bool = True,
    ) -> None:
        frame = sys._getframe(1)
        self._location = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if not _NAME.fullmatch(str(name)):
            raise ConfigError(
                f"Config {name!r} ({self._location}): expected a name of letters, digits, '_' and '-'."
            )
        self._name = name
        self._default = default
        self._default_value = default_value
        self._help = help
        self._required = bool(required)
        self._parser = parser
        self._plain = plain
        self._show_default = show_default
        self._attribute = name

    def __set_name__(self, owner: type, attribute: str) -> None:
        self._attribute = attribute

    def __get__(self, flow: Any, owner: type) -> Any:
        """The value, once the class's Configs are resolved; in a step they are."""
        values = owner.__dict__.get("_flow_config_values")
        if values is not None and self._attribute in values:
            return values[self._attribute]
        if flow is None:
            return self
        from flowsdk.configs.resolving import config_values

        return config_values(owner)[self._attribute]

    # What a key is called must not depend on what a Config happens to have: everything of its own
    # begins with an underscore, so every other name is a key of the value.

    def __getattr__(self, key: str) -> ConfigExpression:
        return getattr(self._expression(), key)  # type: ignore[no-any-return]

    def __getitem__(self, key: Any) -> ConfigExpression:
        return self._expression()[key]

    def keys(self) -> Iterator[str]:
        """For ``**config``."""
        return self._expression().keys()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._expression())

    def __bool__(self) -> bool:
        return bool(self._expression())

    def __copy__(self) -> Config:
        return self

    def __deepcopy__(self, _: Any) -> Config:
        return self

    def __repr__(self) -> str:
        return f"Config({self._name!r})"

    def _expression(self) -> ConfigExpression:
        return ConfigExpression(identifier(self._name), location=self._location)

    def _evaluate(self, flow: type) -> Any:
        return self._expression()._evaluate(flow)


def identifier(name: str) -> str:
    """What a Config is called in expressions."""
    return name.replace("-", "_")


def key_of(name: str) -> str:
    """What must differ between the Configs of a flow: case does not count."""
    return identifier(name).lower()


def collect_configs(flow: type) -> dict[str, Config]:
    """The Configs of a flow class and its bases, by attribute, in the order of their definition.

    Raises:
        ConfigError: Two have the same name, or a Config has the name of something of FlowSpec's.
    """
    from flowsdk.flow import FlowSpec

    found: dict[str, Config] = {}
    for base in reversed(flow.__mro__):
        for attribute, value in vars(base).items():
            if isinstance(value, Config):
                found[attribute] = value
            else:
                found.pop(attribute, None)
    problems = []
    taken: dict[str, str] = {}
    for attribute, config in found.items():
        where = f"Config {config._name!r} ({flow.__name__}.{attribute}, {config._location})"
        if key_of(config._name) in taken:
            problems.append(f"{where}: specified twice, also as {taken[key_of(config._name)]}.")
        if hasattr(FlowSpec, attribute):
            problems.append(
                f"{where}: FlowSpec uses self.{attribute} itself. Assign it to another attribute."
            )
        taken[key_of(config._name)] = f"{flow.__name__}.{attribute}"
    if problems:
        raise ConfigError("\n".join(problems))
    return found
