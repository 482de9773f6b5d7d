"""Everything that keeps a flow from being a DAG, found at once and with its place in the source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_flowprovider.arguments import argument_problems
from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.dag_params import is_missing
from airflow_flowprovider.placeholders import is_placeholder
from airflow_flowprovider.project import deployed_project
from airflow_flowprovider.sensors import sensor_problems
from flowsdk.aws_batch.objections import job_problems
from flowsdk.decorators.settings import flow_schedule
from flowsdk.decorators.trigger import triggers_of
from flowsdk.exception import ParameterError
from flowsdk.lint import Problem, check
from flowsdk.parameters import collect_parameters

if TYPE_CHECKING:
    from flowsdk.graph import FlowGraph


def problems_of(
    flow: type, graph: FlowGraph, config: ProviderConfig | None = None
) -> list[Problem]:
    """What is wrong with a flow, first its graph; empty if it can be compiled.

    Args:
        flow: The flow class.
        graph: Its graph, which may be ill-formed.
        config: The provider's settings, where they have been read already.
    """
    return [
        *check(graph),
        *_parameter_problems(flow, graph),
        *argument_problems(flow, graph),
        *sensor_problems(flow, graph),
        *job_problems(flow, graph, (config or ProviderConfig.load()).batch_defaults),
    ]


def _parameter_problems(flow: type, graph: FlowGraph) -> Iterator[Problem]:
    try:
        parameters = collect_parameters(flow)
    except ParameterError as error:
        # Each line says where the parameter is declared; the flow that has it is here.
        for line in str(error).splitlines():
            yield Problem(graph.file, graph.line, "", "parameter", line)
        return
    for parameter in parameters.values():
        if is_placeholder(parameter.default):
            file, _, number = parameter.location.rpartition(":")
            yield Problem(
                file,
                int(number),
                "",
                "parameter",
                f"Parameter {parameter.name!r} (flow {graph.name}): found the default "
                f"{parameter.default!r}, expected a value. Airflow's machine has no such module, and "
                f"the default is needed there.",
            )
        elif is_missing(parameter) and (cause := _runs_by_itself(flow, parameter.name)):
            file, _, number = parameter.location.rpartition(":")
            yield Problem(
                file,
                int(number),
                "",
                "parameter",
                f"Parameter {parameter.name!r} (flow {graph.name}): found no default, expected one "
                f"in a flow with a {cause}, where nobody gives a value.",
            )


def _runs_by_itself(flow: type, parameter: str) -> str:
    """The decorator by which a flow may run without being given a parameter; empty if none does."""
    if flow_schedule(flow) is not None:
        return "@schedule"
    triggers = triggers_of(flow, deployed_project(flow))
    if triggers.flows:
        return "@trigger_on_finish"
    gives = [parameter in event.parameters for event in triggers.events]
    return "@trigger" if gives and not any(gives) else ""
