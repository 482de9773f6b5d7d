"""``@airflow``: the arguments of its DAG and its tasks that a flow's author gives.

What there is to give is asked of Airflow's own classes, so that it is what this version of Airflow has.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator

from flowsdk.decorators.base import Decorator, decorators_of
from flowsdk.decorators.prepare import flow_decorators
from flowsdk.exception import FlowException, UsageError, did_you_mean
from flowsdk.lint import Problem

if TYPE_CHECKING:
    from flowsdk.graph import FlowGraph, Node

#: Arguments of DAGs and of tasks that follow from the flow → what to use instead.
_OWN = {
    "params": "Parameter",
    "start_date": "@schedule",
    "end_date": "@schedule",
    "doc_md": "the docstring",
}
_OWN_OF_DAG = {
    **_OWN,
    "dag_id": "the name of the class, and @project",
    "schedule": "@schedule, @trigger or @trigger_on_finish",
    "catchup": "@schedule",
    "description": "the docstring",
    "auto_register": "flow_dag()",
}
_OWN_OF_TASK = {
    **_OWN,
    "task_id": "the name of the step",
    "dag": "FlowTaskGroup",
    "task_group": "FlowTaskGroup",
    "trigger_rule": "splits, switches and joins",
    "retries": "@retry",
    "retry_delay": "@retry",
    "retry_policy": "@retry",
    "execution_timeout": "@timeout",
    "resources": "@resources",
    "outlets": "@trigger_on_finish on the flow that is to follow",
    "map_index_template": "the elements of the foreach, which name the splits",
    "do_xcom_push": "artifacts",
    "multiple_outputs": "artifacts",
    "default_args": "the arguments themselves",
    "doc": "the docstring",
    "doc_json": "the docstring",
    "doc_rst": "the docstring",
    "doc_yaml": "the docstring",
}
#: What Airflow takes as an object, and ``@airflow`` also as the dotted name of one. Beside these, all
#: names that end in "_callback".
_OBJECTS = {
    "deadline",
    "executor_config",
    "access_control",
    "user_defined_macros",
    "user_defined_filters",
    "jinja_environment_kwargs",
    "pre_execute",
    "post_execute",
}


def dag_arguments(flow: type) -> tuple[dict[str, Any], str]:
    """What ``@airflow`` on a flow class gives its DAG, and ``file:line`` of it; empty if there is none.

    Args:
        flow: The flow class.
    """
    decorator = next(iter(flow_decorators(flow, "airflow")), None)
    if decorator is None:
        return {}, ""
    given = {name: _object(name, value) for name, value in decorator.attributes.items()}
    of_dag = {name: value for name, value in given.items() if name in _names_of(DAG)}
    of_tasks = {name: value for name, value in given.items() if name not in of_dag}
    default_args = {
        **of_tasks,
        **{name: _object(name, one) for name, one in of_dag.pop("default_args", {}).items()},
    }
    if default_args:
        of_dag["default_args"] = default_args
    return of_dag, decorator.location


def task_arguments(flow: type, node: Node) -> tuple[dict[str, Any], str]:
    """What ``@airflow`` on a step gives its task, and ``file:line`` of it; empty if there is none.

    Args:
        flow: The flow class.
        node: The step.
    """
    decorator = _of_step(flow, node)
    if decorator is None:
        return {}, ""
    given = {name: _object(name, value) for name, value in decorator.attributes.items()}
    return given, decorator.location


def argument_problems(flow: type, graph: FlowGraph) -> Iterator[Problem]:
    """What is wrong with the names that ``@airflow`` gives, on the flow and on its steps.

    Args:
        flow: The flow class.
        graph: Its graph.
    """
    for decorator in flow_decorators(flow, "airflow"):
        refused = {
            name: instead
            for name, instead in {**_OWN_OF_TASK, **_OWN_OF_DAG}.items()
            if name not in _names_of(DAG) or name in _OWN_OF_DAG
        }
        yield from _problems(decorator, f"flow {graph.name}", (DAG, BaseOperator), refused)
        defaults = decorator.attributes.get("default_args", {})
        if not isinstance(defaults, Mapping):
            yield problem_of(decorator.location, "default_args", repr(defaults), "a dict")
            continue
        what = f"default_args of flow {graph.name}"
        yield from _problems(decorator, what, (BaseOperator,), _OWN_OF_TASK, defaults)
    for node in graph:
        if found := _of_step(flow, node):
            yield from _problems(found, f"step {node.name!r}", (BaseOperator,), _OWN_OF_TASK)


def problem_of(location: str, what: str, found: str, expected: str, hint: str = "") -> Problem:
    """A problem of a decorator that stands at ``file:line``."""
    file, _, line = location.rpartition(":")
    message = f"{what}: found {found}, expected {expected}."
    return Problem(file, int(line or 0), "", "airflow", message, hint)


@contextmanager
def blamed_on(decorator: str, location: str) -> Iterator[None]:
    """Have what Airflow's classes say of their arguments name the decorator that gives them.

    Args:
        decorator: As ``@name``.
        location: ``file:line`` of it; where it is empty there is none, and nothing is done.

    Raises:
        UsageError: They have raised something that is no error of flowsdk's own.
    """
    try:
        yield
    except FlowException:
        raise
    except Exception as error:
        if not location:
            raise
        raise UsageError(f"{decorator} ({location}): {type(error).__name__}: {error}") from error


def _problems(
    decorator: Decorator,
    of: str,
    kinds: Sequence[type],
    refused: Mapping[str, str],
    given: Mapping[str, Any] | None = None,
) -> Iterator[Problem]:
    what, place = f"@airflow of {of}", decorator.location
    known = frozenset[str]().union(*map(_names_of, kinds))
    for name, value in (decorator.attributes if given is None else given).items():
        if name in refused:
            yield problem_of(place, what, name, f"{refused[name]} instead")
        elif name not in known:
            near = did_you_mean(name, known - refused.keys()).strip()
            expected = f"an argument of Airflow's {' or '.join(kind.__name__ for kind in kinds)}"
            yield problem_of(place, what, repr(name), expected, near)
        else:
            try:
                found = _object(name, value)
            except (ImportError, AttributeError, ValueError) as error:
                text = f"{name}={value!r} ({error})"
                yield problem_of(place, what, text, "the dotted name of what there is in a module")
                continue
            if expected := _why_unfit(name, found):
                yield problem_of(place, what, f"{name}={value!r}", expected)


def _why_unfit(name: str, value: Any) -> str:
    """What should be in the place of a value that Airflow would take, and make nonsense of."""
    several = value if isinstance(value, (list, tuple, set)) else None
    if name == "tags" and (several is None or not all(isinstance(tag, str) for tag in several)):
        return "a list of texts"
    callbacks = [value] if several is None else several
    if name.endswith("_callback") and value is not None and not all(map(callable, callbacks)):
        return "a function, or the dotted name of one"
    return ""


def _object(name: str, value: Any) -> Any:
    if name not in _OBJECTS and not name.endswith("_callback"):
        return value
    if isinstance(value, (list, tuple)):
        return [_object(name, one) for one in value]
    return pkgutil.resolve_name(value) if isinstance(value, str) else value


def _of_step(flow: type, node: Node) -> Decorator | None:
    if "airflow" not in node.decorators:
        return None
    return next(one for one in decorators_of(flow, node.name) if one.name == "airflow")


@lru_cache(maxsize=2)
def _names_of(kind: type) -> frozenset[str]:
    parameters = inspect.signature(kind).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)
