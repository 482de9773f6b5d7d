"""From a flow class to a DAG.

Pure: the class and Airflow's configuration in, a DAG out. No network, no datastore, no user code
runs, and an unchanged file gives the same serialized DAG byte for byte, so that parsing it again
does not make a new DAG version.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task_group

from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.mapping import ForeachGroup, foreach_groups, unsupported
from airflow_flowprovider.operators.step import FlowStepOperator
from flowsdk.decorators.settings import flow_schedule, step_settings
from flowsdk.exception import FlowLintError, ParameterError
from flowsdk.flow import graph_of
from flowsdk.lint import check
from flowsdk.parameters import Parameter, collect_parameters, convert, json_schema

if TYPE_CHECKING:
    from flowsdk.flow import FlowSpec
    from flowsdk.graph import FlowGraph, Node

#: The operator puts the split's label under this name into the context, see FlowStepOperator.
_LABEL_TEMPLATE = "{{ flow_split_label }}"
#: For tries that are the platform's fault in steps without @retry: long enough for a host to go.
_RETRY_DELAY = timedelta(seconds=10)


def flow_dag(flow: type[FlowSpec], **dag_kwargs: Any) -> DAG:
    """The DAG of a flow, for files that want to say how: ``dag = flow_dag(MyFlow, tags=["x"])``.

    A flow file needs this only to give the DAG arguments of its own; without it, the flow becomes a
    DAG by itself.

    Args:
        flow: The flow class.
        dag_kwargs: Arguments of Airflow's ``DAG``; they win over what the flow says.

    Raises:
        FlowLintError: The flow has problems, or what cannot be expressed as a DAG.
        ParameterError: A parameter is malformed, or required and the flow is scheduled.
    """
    from airflow_flowprovider.discovery import withdraw

    withdraw(flow)
    return compile_flow(flow, **dag_kwargs)


def compile_flow(flow: type[FlowSpec], **dag_kwargs: Any) -> DAG:
    """As :func:`flow_dag`, for whoever registers the DAG himself."""
    graph = graph_of(flow)
    problems = [*check(graph)] or unsupported(graph)
    if problems:
        raise FlowLintError(problems)
    dag = DAG(**{**_dag_arguments(flow, graph), **dag_kwargs})
    operators: dict[str, FlowStepOperator] = {}
    groups = foreach_groups(graph)
    retries = ProviderConfig.load().infrastructure_retries
    with dag:
        for node in graph.topological():
            if not node.foreaches:
                operators[node.name] = _operator(flow, node, retries)
            if node.name in groups:
                _add_group(flow, graph, groups[node.name], operators, retries)
        for node in graph:
            for target in node.next:
                operators[node.name] >> operators[target]
    return dag


def _dag_arguments(flow: type[FlowSpec], graph: FlowGraph) -> dict[str, Any]:
    schedule = flow_schedule(flow)
    timetable = schedule and CronTriggerTimetable(
        schedule.cron, timezone=schedule.timezone or "UTC"
    )
    return {
        "dag_id": flow.__name__,
        "description": graph.doc.split("\n", 1)[0] or None,
        "doc_md": graph.doc or None,
        "schedule": timetable,
        "catchup": False,
        "params": _params(flow, scheduled=schedule is not None),
        "tags": ["flow"],
        # Otherwise leaving the `with` block would register it, whoever asked for it.
        "auto_register": False,
    }


def _params(flow: type[FlowSpec], *, scheduled: bool) -> dict[str, Param]:
    parameters = collect_parameters(flow)
    missing = [name for name, p in parameters.items() if p.required and p.default is None]
    if scheduled and missing:
        raise ParameterError(
            f"Flow {flow.__name__} is scheduled and parameter {', '.join(map(repr, missing))} is "
            f"required: found no default, expected one, for nobody is there to give a value."
        )
    return {name: _param(parameter) for name, parameter in parameters.items()}


def _param(parameter: Parameter) -> Param:
    schema = json_schema(parameter)
    if parameter.default is None and parameter.required:
        return Param(**schema)
    # A default that is a function is called when a run starts, in the operator of the start step.
    default = None if callable(parameter.default) else parameter.default
    return Param(None if default is None else convert(parameter, default), **schema)


def _operator(flow: type[FlowSpec], node: Node, infrastructure_retries: int) -> FlowStepOperator:
    settings = step_settings(flow, node.name)
    delay = timedelta(minutes=settings.retry_delay_minutes) if settings.retry_times else None
    mapped: Mapping[str, Any] = {"map_index_template": _LABEL_TEMPLATE} if node.foreaches else {}
    return FlowStepOperator(
        task_id=node.name,
        flow=flow,
        step=node.name,
        retries=settings.retry_times + infrastructure_retries,
        retry_delay=_RETRY_DELAY if delay is None else delay,
        doc_md=node.doc or None,
        **mapped,
    )


def _add_group(
    flow: type[FlowSpec],
    graph: FlowGraph,
    group: ForeachGroup,
    operators: dict[str, FlowStepOperator],
    infrastructure_retries: int,
) -> None:
    """The body of a foreach as a TaskGroup that is mapped over the indices of the splits."""

    @task_group(
        group_id=group.group_id,
        prefix_group_id=False,
        tooltip=f"for each of {group.var}, from step {group.split}",
    )
    def body(split: Any) -> None:  # noqa: ARG001  # the map index says which split it is
        for name in group.steps:
            operators[name] = _operator(flow, graph[name], infrastructure_retries)

    body.expand(split=operators[group.split].output)
