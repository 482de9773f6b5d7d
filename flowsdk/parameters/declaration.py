"""``Parameter``: how a flow says what a run of it can be given."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Container, Mapping, Sequence
from typing import Any

from flowsdk.configs.expression import evaluate, has_expressions
from flowsdk.declaring import declared_at, unknown_argument
from flowsdk.exception import ConfigError, ParameterError

#: Options of the command line, which a parameter would hide.
RESERVED_PARAMETERS = frozenset(
    {"params", "with", "tag", "namespace", "obj", "tags", "decospecs", "run-id-file",
     "max-num-splits", "max-workers", "max-log-size", "user-namespace", "run-id", "task-id",
     "runner-attribute-file", "help"}
)  # fmt: skip
#: Likewise, of flows with Configs.
_CONFIG_OPTIONS = frozenset({"config", "config-value"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class JSONTypeClass:
    """The type of parameters whose value is any JSON; see ``JSONType``."""

    name = "JSON"

    def __repr__(self) -> str:
        return "JSON"

    def __reduce__(self) -> str:
        return "JSONType"  # there is only one, and code compares with ``is``


#: ``Parameter("p", type=JSONType)``: text is parsed as JSON.
JSONType = JSONTypeClass()

#: The types a parameter can have, besides JSONType.
PLAIN_TYPES: tuple[Any, ...] = (str, int, float, bool)


class Parameter:
    """A value that a run is given; in steps ``self.<attribute>`` reads it.

    Args:
        name: On the command line (``--name``) and in Airflow's trigger form.
        default: Used if none is given; a function is called with a ParameterContext when a run
            starts, and must return a value of the parameter's type.
        type: ``str``, ``int``, ``float``, ``bool`` or ``JSONType``; by default the default's type,
            else ``str``.
        help: Shown with ``run --help`` and in the form.
        required: Whether a run must be given a value.
        show_default: Whether the help shows the default. True by default.
        separator: Split the text at this and make the value a list of ``type``.
        choices: The only values allowed.
        min: The smallest number allowed.
        max: The largest number allowed.

    Each of them but the name may be an expression of the flow's Configs. Only ``default`` may be a
    function.

    Raises:
        ParameterError: An argument is unknown.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Refuse arguments that there are not, with the line that gives them."""
        if wrong := unknown_argument(cls, kwargs):
            name = args[0] if args else kwargs.get("name")
            raise ParameterError(f"{cls.__name__} {name!r} ({declared_at()}): {wrong}")
        return super().__new__(cls)

    def __init__(
        self,
        name: str,
        default: Any = None,
        type: Any = None,
        help: str | None = None,
        required: bool | None = None,
        show_default: bool | None = None,
        separator: str | None = None,
        choices: Sequence[Any] | None = None,
        min: float | None = None,
        max: float | None = None,
    ) -> None:
        self.name = name
        self.default = default
        self.type = type
        self.help = help
        self.required = required
        self.show_default = show_default
        self.separator = separator
        self.choices = choices
        self.min = min
        self.max = max
        self.attribute = name
        frame = sys._getframe(1)
        #: ``file:line`` of the declaration, for messages.
        self.location = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        self._is_complete = not has_expressions(vars(self))
        if self._is_complete:
            self._complete()

    def of(self, flow: type) -> Parameter:
        """This parameter as it is in one flow: with expressions of its Configs evaluated.

        Raises:
            ConfigError: An expression cannot be evaluated.
        """
        if self._is_complete:
            return self
        evaluated = copy.copy(self)
        evaluated.__dict__.update(evaluate(vars(self), flow))
        evaluated._complete()
        return evaluated

    def verify(self, flow: type, value: Any) -> None:
        """Raise ParameterError if a value of the right type cannot be; subclasses override it.

        Args:
            flow: The flow class.
            value: What the run is about to be given; not None.
        """

    def _complete(self) -> None:
        """Fill in what follows from the other values."""
        self.type = _type_of(self.type, self.default, self.separator)
        if isinstance(self.choices, (set, frozenset)):
            self.choices = sorted(self.choices, key=repr)  # alike in every process
        if isinstance(self.choices, list):
            self.choices = tuple(self.choices)
        if self.show_default is None:
            self.show_default = True
        self._is_complete = True

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    def __get__(self, flow: Any, owner: type | None = None) -> Any:
        return self if flow is None else flow._flow_parameter(self.attribute)

    def __repr__(self) -> str:
        return f"Parameter({self.name!r})"


def collect_parameters(flow: type) -> dict[str, Parameter]:
    """The parameters of a flow class and its bases, by name, in the order of their definition.

    Raises:
        ParameterError: Names that are malformed, reserved or used twice, defaults and choices that
            the parameter would refuse; all of them.
    """
    from flowsdk.configs.config import collect_configs
    from flowsdk.decorators.prepare import prepare

    prepare(flow)  # mutators may add parameters and remove them
    attributes: dict[str, Parameter] = {}
    for base in reversed(flow.__mro__):
        for attribute, value in vars(base).items():
            if isinstance(value, Parameter):
                attributes[attribute] = value
            else:
                attributes.pop(attribute, None)
    problems: list[str] = []
    found: dict[str, Parameter] = {}
    taken: dict[str, str] = {}
    reserved = RESERVED_PARAMETERS | (_CONFIG_OPTIONS if collect_configs(flow) else frozenset())
    for attribute, declared in attributes.items():
        try:
            parameter = declared.of(flow)
        except ConfigError as error:
            problems.append(f"Parameter {declared.name!r} ({declared.location}): {error}")
            continue
        wrong = _name_problem(parameter.name, attribute, taken, reserved)
        wrong = wrong or _declaration_problem(parameter)
        if wrong:
            where = f"{flow.__name__}.{attribute}, {parameter.location}"
            problems.append(f"Parameter {parameter.name!r} ({where}): {wrong}")
        else:
            taken[_key(parameter.name)] = f"{flow.__name__}.{attribute}"
            found[parameter.name] = parameter
    if problems:
        raise ParameterError("\n".join(problems))
    return found


def _key(name: str) -> str:
    """What must differ: on the command line case does not count, in variables ``-`` is ``_``."""
    return name.lower().replace("_", "-")


def _name_problem(
    name: Any, attribute: str, taken: Mapping[str, str], reserved: Container[str]
) -> str | None:
    from flowsdk.flow import FlowSpec

    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return "expected a name of letters, digits, '_' and '-'."
    if _key(name) in reserved:
        return "the command line uses this name itself. Choose another."
    if _key(name) in taken:
        return f"specified twice, also as {taken[_key(name)]}."
    if hasattr(FlowSpec, attribute):
        return f"FlowSpec uses self.{attribute} itself. Assign it to another attribute."
    return None


def _declaration_problem(parameter: Parameter) -> str | None:
    from flowsdk.parameters.values import convert, convert_one

    kind, default = parameter.type, parameter.default
    wrong = _shape_problem(parameter)
    if wrong:
        return wrong
    try:
        for choice in parameter.choices or ():
            convert_one(parameter, choice)
        if default is not None and not callable(default):
            convert(parameter, default)
    except ParameterError as error:
        return str(error).partition(": ")[2]
    bounds = [bound for bound in (parameter.min, parameter.max) if bound is not None]
    if bounds and kind not in (int, float):
        return f"found min or max and type {type_name(kind)}, expected a number."
    return None


def _shape_problem(parameter: Parameter) -> str | None:
    """What is wrong with a declaration whatever its values are."""
    kind = parameter.type
    if kind is not JSONType and kind not in PLAIN_TYPES:
        return f"found type {kind!r}, expected str, int, float, bool or JSONType."
    for name in ("required", "show_default"):
        value = getattr(parameter, name)
        if value is not None and not isinstance(value, bool):
            return f"found {name}={value!r}, expected True or False; only a default is computed."
    separator: Any = parameter.separator
    if separator is not None:
        if not isinstance(separator, str) or not separator:
            return f"found separator={separator!r}, expected a text that is not empty."
        if kind is JSONType:
            return "found a separator and type JSON, which has lists of its own. Leave one of them out."
    if parameter.choices is not None and not isinstance(parameter.choices, tuple):
        return f"found choices={parameter.choices!r}, expected a list."
    low, high = parameter.min, parameter.max
    if low is not None and high is not None and low > high:
        return f"found min {low} above max {high}."
    return None


def type_name(kind: Any) -> str:
    """What a type is called in messages."""
    return str(getattr(kind, "__name__", kind))


def _type_of(kind: Any, default: Any, separator: str | None) -> Any:
    if kind is not None:
        return kind
    if separator is not None or default is None or callable(default):
        return str
    return JSONType if isinstance(default, (dict, list)) else type(default)
