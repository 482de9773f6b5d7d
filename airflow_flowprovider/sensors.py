"""``@airflow_sensor``: tasks before the start step that wait for something."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_flowprovider.arguments import blamed_on, problem_of
from flowsdk.decorators.airflow_sensors import SensorSettings, sensors_of
from flowsdk.exception import did_you_mean
from flowsdk.lint import Problem

if TYPE_CHECKING:
    from flowsdk.graph import FlowGraph

#: Arguments that say where a task belongs, which is known.
_OWN = {"dag", "task_group"}


def sensor_problems(flow: type, graph: FlowGraph) -> Iterator[Problem]:
    """What is wrong with the sensors of a flow and the names of their arguments.

    Args:
        flow: The flow class.
        graph: Its graph.
    """
    taken: set[str] = set()
    for settings in sensors_of(flow):
        what = f"Sensor {settings.task_id or settings.name!r} of flow {graph.name}"
        if settings.task_id and settings.task_id in {*graph.nodes, *taken}:
            found = f"the task id {settings.task_id!r}"
            yield problem_of(settings.location, what, found, "one that no step or sensor has")
        taken.add(settings.task_id or "")
        try:
            kind = _class_of(settings)
        except (ImportError, AttributeError, ValueError) as error:
            found = f"{settings.sensor!r} ({error})"
            hint = "Install the provider that has it where Airflow reads DAGs."
            yield problem_of(settings.location, what, found, "a class that can be imported", hint)
            continue
        if not (isinstance(kind, type) and issubclass(kind, BaseOperator)):
            yield problem_of(settings.location, what, repr(kind), "a class of sensors")
            continue
        names, required = _arguments_of(kind)
        for name in settings.arguments:
            if name not in names - _OWN:
                near = did_you_mean(name, names - _OWN).strip()
                expected = f"an argument of {kind.__name__}"
                yield problem_of(settings.location, what, repr(name), expected, near)
        if missing := sorted(required - settings.arguments.keys() - {"task_id"}):
            found = f"no {', '.join(missing)}"
            yield problem_of(settings.location, what, found, f"what {kind.__name__} needs")


def make_sensors(flow: type, taken: Collection[str]) -> list[BaseOperator]:
    """The sensors of a flow as tasks of the DAG that is being made.

    Args:
        flow: The flow class.
        taken: Names that other tasks and groups of the flow have.

    Raises:
        UsageError: Airflow's class refuses its arguments.
    """
    used = {*taken, *(settings.task_id for settings in sensors_of(flow))}
    made = []
    for settings in sensors_of(flow):
        name = settings.task_id or _unused(settings.name, used)
        used.add(name)
        with blamed_on(f"Sensor {name!r}", settings.location):
            made.append(_class_of(settings)(task_id=name, **settings.arguments))
    return made


def _class_of(settings: SensorSettings) -> Any:
    sensor = settings.sensor
    return pkgutil.resolve_name(sensor) if isinstance(sensor, str) else sensor


def _arguments_of(kind: type) -> tuple[set[str], set[str]]:
    """Names of all arguments of a class, and of those that it cannot do without.

    A class hands what it does not know on to its base; only of its own arguments can be said that
    they are required, for it may give its base something itself.
    """
    names: set[str] = set()
    required: set[str] | None = None
    for base in kind.__mro__:
        if "__init__" not in base.__dict__ or base is object:
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]  # type: ignore[misc]
        named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        names |= {p.name for p in named}
        if required is None:
            required = {p.name for p in named if p.default is p.empty}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names, required or set()


def _unused(name: str, used: Collection[str | None]) -> str:
    candidate, number = name, 2
    while candidate in used:
        candidate, number = f"{name}_{number}", number + 1
    return candidate
