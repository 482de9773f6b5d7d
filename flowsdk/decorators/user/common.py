"""What decorators that users write have in common: how they are applied, named and found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, ClassVar

from flowsdk.declaring import declared_at
from flowsdk.decorators.base import Decorator, StepDecorator
from flowsdk.exception import DecoratorError, did_you_mean

#: Every class that a user's module has defined, by its full name.
_classes: dict[str, type[OwnStepDecorator]] = {}


class BareOrCalled(type):
    """Lets ``@D`` and ``@D(x=1)`` do the same: the class, called with what it decorates, returns it."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: D102  # of the class
        if args and cls._decorates(args[0]):
            return super().__call__(*args[1:], **kwargs)(args[0])
        return super().__call__(*args, **kwargs)

    def _decorates(cls, found: Any) -> bool:
        raise NotImplementedError


class _OfSteps(BareOrCalled):
    def _decorates(cls, found: Any) -> bool:
        return getattr(found, "is_step", False) is True


class OwnStepDecorator(StepDecorator, metaclass=_OfSteps):
    """A step decorator of a user's: it takes what its ``init`` takes.

    Args:
        args: Positional arguments, where the kind allows them.
        kwargs: Keyword arguments.

    Raises:
        DecoratorError: It does not take such arguments.
    """

    allow_multiple = True
    #: Within flowsdk's own, so that @catch and @timeout see what these do.
    rank = 1
    _takes_positional: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = f"{cls.__module__}.{cls.__qualname__}"
        if not cls.__module__.startswith("flowsdk.decorators."):
            _classes[cls.name] = cls

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.location = declared_at()
        if args and not self._takes_positional:
            raise self.error(f"found argument {args[0]!r}, expected keyword arguments only.")
        if (args or kwargs) and not self._takes_arguments():
            raise self.error(
                "found arguments, and the decorator takes none. Implement init(self, …) in it."
            )
        self.args = args
        self.attributes = kwargs

    def __call__(self, function: Any) -> Any:
        """Attach this to a step, which is returned."""
        return self.attach(function)

    def __set_name__(self, owner: type, name: str) -> None:
        raise self.error(
            f"found on {name!r} of {owner.__name__}, which is not a step. Put @step closest to the "
            f"function, below it."
        )

    def __repr__(self) -> str:
        given = [*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.attributes.items())]
        return f"@{self.name}({', '.join(given)})"

    def init(self, *args: Any, **kwargs: Any) -> None:
        """Take the arguments; override it to have any. Called once before each use."""

    def spec(self) -> str:
        """This decorator as ``--with`` takes it."""
        given = {**{str(i): value for i, value in enumerate(self.args)}, **self.attributes}
        return f"{self.name}:{json.dumps(given, sort_keys=True)}" if given else self.name

    def get_args_kwargs(self) -> tuple[list[Any], dict[str, Any]]:
        """The arguments it was given."""
        return list(self.args), dict(self.attributes)

    def fresh(self) -> Any:
        """Another one like this that has nothing from earlier uses, initialized."""
        other = type(self)(*self.args, **self.attributes)
        other.init(*other.args, **other.attributes)
        return other

    def with_values(self, value: Callable[[Any], Any]) -> Any:
        """Another one whose arguments are what ``value`` makes of this one's."""
        return type(self)(*value(self.args), **value(self.attributes))

    @classmethod
    def _takes_arguments(cls) -> bool:
        return cls.init is not OwnStepDecorator.init


def is_called(decorator: Decorator, name: str) -> bool:
    """Whether ``name`` is the decorator's name, or the end of the full name of a user's."""
    return decorator.name == name or (
        isinstance(decorator, OwnStepDecorator) and decorator.name.endswith(f".{name}")
    )


def find_class(name: str, others: Iterable[str] = ()) -> Callable[..., StepDecorator]:
    """A user's step decorator by its name: ``module.name``, or less where that is unique.

    A module that has not been imported yet is.

    Args:
        name: The name.
        others: Names that are not a user's, to be suggested where nothing is found.

    Raises:
        DecoratorError: There is none, or several.
    """
    found = {full: kind for full, kind in _classes.items() if f".{full}".endswith(f".{name}")}
    if name in found:
        return found[name]
    if len(found) > 1:
        raise DecoratorError(
            f"Step decorator {name!r}: found {', '.join(sorted(found))}. Write more of the name."
        )
    if found:
        return next(iter(found.values()))
    module_name, _, attribute = name.rpartition(".")
    if module_name:
        return _import_class(module_name, attribute)
    short = [*others, *(full.rpartition(".")[2] for full in _classes)]
    near = did_you_mean(name, short) or f" Expected {', '.join(short)}, or package.module.name."
    raise DecoratorError(f"There is no step decorator {name!r}.{near}")


def _import_class(module_name: str, attribute: str) -> Callable[..., StepDecorator]:
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise DecoratorError(
            f"Step decorator {module_name}.{attribute}: {error}. Write --with package.module.name."
        ) from error
    if not hasattr(module, attribute):
        raise DecoratorError(
            f"Module {module_name} has no step decorator {attribute!r}."
            f"{did_you_mean(attribute, vars(module))}"
        )
    found = getattr(module, attribute)
    kind = getattr(found, "__self__", found)  # of flowsdk's kind, `name = Name.decorate`
    if isinstance(kind, type) and issubclass(kind, StepDecorator):
        return kind
    raise DecoratorError(
        f"Step decorator {module_name}.{attribute}: found {found!r}, expected a step decorator."
    )
