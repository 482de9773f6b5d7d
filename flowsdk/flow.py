"""``FlowSpec``: what a flow author subclasses, and what ``self`` is inside a step."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from flowsdk.declaring import tell_without_traceback
from flowsdk.exception import (
    ArtifactNotFound,
    InvalidNextException,
    ReservedAttributeError,
    did_you_mean,
)
from flowsdk.registry import notify
from flowsdk.steps import step_functions
from flowsdk.transition import Transition, called

if TYPE_CHECKING:
    from types import FrameType

    from flowsdk.artifacts.scope import Scope
    from flowsdk.graph import FlowGraph
    from flowsdk.runtime.inputs import Inputs
    from flowsdk.spec import ForeachFrame


class FlowSpec:
    """Base class of all flows.

    Subclass it, mark methods with ``@step``, pass data on by assigning to ``self`` and end each step
    with ``self.next(…)``. At the end of the file, ``if __name__ == "__main__": MyFlow()`` makes it a
    command line program; the same file in an Airflow dags folder is a DAG.

    Args:
        use_cli: Parse the command line and run it. False only builds the object.
    """

    #: Those that stand on this very class; ``decorators.prepare`` says which are in effect.
    _flow_own_decorators: ClassVar[tuple[Any, ...]] = ()
    #: Set by the runtime while it loads a flow file: the file's own ``MyFlow()`` must not start a
    #: command line then, but end the loading.
    _on_main: ClassVar[Any] = None

    __task: FlowTask

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        notify(cls)

    def __init__(self, use_cli: bool = True) -> None:
        object.__setattr__(self, "_FlowSpec__task", _NO_TASK)
        if use_cli:
            if FlowSpec._on_main is not None:
                FlowSpec._on_main(type(self))
                return
            from flowsdk.cli.flow import main

            sys.exit(main(type(self)))

    # -- what steps read

    @property
    def name(self) -> str:
        """Name of the flow."""
        return type(self).__name__

    @property
    def index(self) -> int | None:
        """0-based position of this task's split in the innermost foreach; None outside one."""
        frames = self.__task.frames
        return frames[-1].index if frames else None

    @property
    def input(self) -> Any:
        """This task's element of the innermost foreach; None outside one."""
        return self.__task.split_value()

    def foreach_stack(self) -> list[tuple[int, int, Any]]:
        """``(index, number of splits, element)`` of every foreach around this task, outermost first."""
        return self.__task.stack()

    def __iter__(self) -> Iterator[Any]:
        """The steps of the flow, in the order of their definition."""
        return iter([getattr(self, name) for name in step_functions(type(self))])

    # -- what steps call

    def next(self, *targets: Any, **how: Any) -> None:
        """Say which step comes next; the last statement of every step but the end.

        - ``self.next(self.a)``
        - ``self.next(self.a, self.b)``: all of them.
        - ``self.next(self.a, foreach="xs")``: once for each element of ``self.xs``, which may be
          anything that can be iterated over; of a dict, its items. With ``allow_empty=True``
          nothing to iterate over means that the join has no inputs, otherwise it is an error.
        - ``self.next(self.a, num_parallel=n)``: ``n`` tasks at once, for a ``@parallel`` step.
        - ``self.next({"x": self.a, "y": self.b}, condition="which")``: the one step whose case
          ``self.which`` equals. One of the steps may be the step itself, which is a loop.

        Raises:
            InvalidNextException: Called twice, differently from what the source says, or with a
                value that fits no case.
        """
        self.__task.set_next(self, targets, how)

    def merge_artifacts(
        self, inputs: Inputs, exclude: Sequence[str] = (), include: Sequence[str] = ()
    ) -> None:
        """In a join, take over the artifacts that all inputs agree on.

        Artifacts already assigned in this step are left alone. Values are compared by content and
        passed on by reference: nothing is loaded.

        Args:
            inputs: The join's ``inputs``.
            exclude: Names not to take.
            include: Take only these. Not together with ``exclude``.

        Raises:
            UnhandledInMergeArtifactsException: Inputs disagree on some artifact. Nothing is merged.
            MissingInMergeArtifactsException: An artifact in ``include`` is missing from all inputs.
            FlowException: Not called in a join, or with both ``include`` and ``exclude``.
        """
        from flowsdk.artifacts.merge import merge

        merge(self.__task.scope, self.__dict__, inputs, exclude, include)

    # -- artifacts

    def __getattr__(self, name: str) -> Any:
        # Reached only when neither the instance nor the class has the attribute.
        task = self.__dict__.get("_FlowSpec__task", _NO_TASK)
        if task.scope is None or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} flow has no attribute {name!r}.")
        try:
            value = task.scope.load(name)
        except ArtifactNotFound:
            known = {*task.scope.refs, *self.__dict__} - {"_FlowSpec__task"}
            raise AttributeError(
                f"Flow {type(self).__name__} has no artifact {name!r} in step {task.step!r}."
                f"{did_you_mean(name, known)} It must be assigned to self in an earlier step."
            ) from None
        task.loaded[name] = value
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        task = self.__task
        if not task.has_assigned(name) and (reason := _why_reserved(type(self), name)):
            raise ReservedAttributeError(
                f"self.{name} cannot be assigned ({_caller()}): {reason}. Choose another name."
            )
        if isinstance(value, FlowSpec) or _is_inputs(value):
            raise ReservedAttributeError(
                f"self.{name} cannot be a flow or the inputs of a join ({_caller()}): flows cannot "
                f"be stored. Assign the artifacts that you need one by one."
            )
        task.note_place(name, sys._getframe(1))
        self.__dict__[name] = value

    def __delattr__(self, name: str) -> None:
        scope = self.__task.scope
        known = name in self.__dict__ or (scope is not None and name in scope.refs)
        if known and (reason := _why_reserved(type(self), name)):
            raise ReservedAttributeError(f"self.{name} cannot be deleted ({_caller()}): {reason}.")
        if not known:
            raise AttributeError(f"Flow {type(self).__name__} has no artifact {name!r} to delete.")
        self.__dict__.pop(name, None)
        if scope is not None:
            scope.refs.pop(name, None)

    def __getstate__(self) -> Any:
        # Reached where a value holds a flow: a list of inputs, a function that refers to self.
        raise TypeError(
            "flows cannot be stored; keep the artifacts that are needed, in local variables or one by "
            "one on self"
        )

    def _flow_parameter(self, attribute: str) -> Any:
        """The value of a parameter, for ``Parameter.__get__``."""
        if attribute not in self.__dict__:
            return self.__getattr__(attribute)
        return self.__dict__[attribute]

    # -- for the runtime

    @property
    def _transition(self) -> Transition | None:
        """What ``self.next`` has said; None before."""
        return self.__task.transition

    def _begin(self, task: FlowTask) -> None:
        """Become the ``self`` of one task."""
        object.__setattr__(self, "_FlowSpec__task", task)

    def _values(self) -> dict[str, Any]:
        """Everything that has been assigned or loaded, by name."""
        return {
            name: value
            for name, value in self.__dict__.items()
            if name != "_FlowSpec__task" and not name.startswith("__")
        }


class FlowTask:
    """What a flow object knows of the task it is the ``self`` of.

    Args:
        step: Name of the step; empty for an input of a join.
        scope: The artifacts visible; None outside a task.
        frames: The foreach levels around the task, outermost first.
    """

    def __init__(
        self, step: str = "", scope: Scope | None = None, frames: Sequence[ForeachFrame] = ()
    ) -> None:
        self.step = step
        self.scope = scope
        self.frames = tuple(frames)
        self.loaded: dict[str, Any] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self.transition: Transition | None = None
        self._stack: list[tuple[int, int, Any]] | None = None

    def note_place(self, name: str, frame: FrameType) -> None:
        """Remember the line that assigns an artifact, for errors."""
        if self.scope is not None:
            self._places[name] = (frame.f_code.co_filename, frame.f_lineno)

    def has_assigned(self, name: str) -> bool:
        """Whether the task has assigned the artifact before, whose name is thus known to be free."""
        return name in self._places

    def places(self) -> dict[str, str]:
        """Where each artifact was assigned last, as ``file:line``."""
        return {name: f"{file}:{line}" for name, (file, line) in self._places.items()}

    def split_value(self) -> Any:
        """The element of the innermost foreach, or None."""
        return self.stack()[-1][2] if self.frames else None

    def stack(self) -> list[tuple[int, int, Any]]:
        """``(index, count, element)`` of each level; elements are read on first use."""
        if self._stack is None:
            self._stack = [
                (frame.index, frame.count, self._element(frame)) for frame in self.frames
            ]
        return list(self._stack)

    def _element(self, frame: ForeachFrame) -> Any:
        from flowsdk.artifacts.splits import load_split

        if self.scope is None:
            return None
        return load_split(self.scope.blobs, frame)

    def set_next(self, flow: FlowSpec, targets: Sequence[Any], how: Mapping[str, Any]) -> None:
        """Note the transition after checking it against the graph."""
        where = f"step {self.step!r}, {_caller(depth=3)}"
        if self.transition is not None:
            raise InvalidNextException(f"self.next() was called twice ({where}). Call it once.")
        node = graph_of(type(flow))[self.step]
        self.transition = called(flow, node, targets, how, where)


_NO_TASK = FlowTask()

tell_without_traceback()


def graph_of(flow: type[FlowSpec]) -> FlowGraph:
    """The graph of a flow class, built once for each class and values of its Configs."""
    from flowsdk.decorators.prepare import prepare
    from flowsdk.graph import FlowGraph

    prepared = prepare(flow)
    known: tuple[object, FlowGraph] | None = flow.__dict__.get("_flow_graph")
    if known is None or known[0] is not prepared:
        known = (prepared, FlowGraph.from_flow(flow))
        type.__setattr__(flow, "_flow_graph", known)
    return known[1]


def constants_of(flow: type[FlowSpec]) -> dict[str, Any]:
    """The class attributes that are plain values, and the values of Configs.

    They are visible in every step and read-only.
    """
    from flowsdk.configs import collect_configs, resolve_configs

    resolve_configs(flow)
    found: dict[str, Any] = {}
    for base in reversed(flow.__mro__):
        if base in (FlowSpec, object) or not issubclass(base, FlowSpec):
            continue
        for name, value in vars(base).items():
            found.pop(name, None)
            if not name.startswith("_") and not callable(value) and not hasattr(value, "__get__"):
                found[name] = value
    for name, config in collect_configs(flow).items():
        found[name] = config.__get__(None, flow)
    return found


def _why_reserved(flow: type[FlowSpec], name: str) -> str | None:
    """Why an attribute cannot be an artifact; None if it can."""
    from flowsdk.configs import Config
    from flowsdk.decorators.draft import Removed
    from flowsdk.parameters import Parameter

    for base in flow.__mro__:
        if name not in base.__dict__:
            continue
        found = base.__dict__[name]
        if base is object or isinstance(found, Removed):
            break
        if isinstance(found, Parameter):
            return "it is a Parameter, and parameters are read-only"
        if isinstance(found, Config):
            return "it is a Config, and configs are read-only"
        if getattr(found, "is_step", False):
            return "it is the name of a step"
        if base is FlowSpec:
            return "FlowSpec uses that name itself"
        if callable(found) or hasattr(found, "__get__"):
            return f"it is the name of a method or property of {base.__name__}"
        return f"it is a constant of class {base.__name__}, and constants are read-only"
    if name.startswith("__"):
        return "names that begin with two underscores are not stored"
    return None


def _is_inputs(value: Any) -> bool:
    # By name: that module is imported only where a join runs, and it imports this one.
    kind = type(value)
    return kind.__name__ == "Inputs" and kind.__module__ == "flowsdk.runtime.inputs"


def _caller(depth: int = 2) -> str:
    """``file:line`` of the user's code that called into the flow."""
    frame = sys._getframe(depth)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
