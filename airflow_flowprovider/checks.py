"""Everything that keeps a flow from being a DAG, found at once and with its place in the source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_flowprovider.dag_params import dag_param, is_missing
from airflow_flowprovider.mapping import unsupported
from flowsdk.decorators.settings import flow_schedule, step_settings
from flowsdk.exception import FlowException, ParameterError
from flowsdk.lint import Problem, check
from flowsdk.parameters import Parameter, collect_parameters

if TYPE_CHECKING:
    from flowsdk.graph import FlowGraph


def problems_of(flow: type, graph: FlowGraph) -> list[Problem]:
    """What is wrong with a flow, first its graph; empty if it can be compiled.

    Args:
        flow: The flow class.
        graph: Its graph, which may be ill-formed.
    """
    return [
        *check(graph),
        *unsupported(graph),
        *_decorator_problems(flow, graph),
        *_parameter_problems(flow, graph),
    ]


def _decorator_problems(flow: type, graph: FlowGraph) -> Iterator[Problem]:
    for node in graph:
        try:
            step_settings(flow, node.name)
        except (FlowException, ValueError, TypeError) as error:
            message = f"Step {node.name!r}: {error}"
            yield Problem(node.file, node.line, node.name, "decorator", message)


def _parameter_problems(flow: type, graph: FlowGraph) -> Iterator[Problem]:
    # A parameter is a value of the class and does not know its line.
    def problem(message: str) -> Problem:
        return Problem(graph.file, graph.line, "", "parameter", message)

    try:
        parameters = collect_parameters(flow)
    except ParameterError as error:
        yield from map(problem, str(error).splitlines())
        return
    for parameter in parameters.values():
        yield from map(problem, _wrong_default(parameter))
    missing = [repr(name) for name, parameter in parameters.items() if is_missing(parameter)]
    if missing and flow_schedule(flow) is not None:
        yield problem(
            f"Parameter {', '.join(missing)} (flow {graph.name}): found no default, expected one in "
            f"a flow with a @schedule, where nobody gives a value."
        )


def _wrong_default(parameter: Parameter) -> Iterator[str]:
    try:
        dag_param(parameter)
    except (ParameterError, ValueError, TypeError) as error:
        yield str(error)
