"""From a flow class to a DAG.

Pure: the class and Airflow's configuration in, a DAG out. No network, no datastore, no user code
runs, and an unchanged file gives the same serialized DAG byte for byte, so that parsing it again
does not make a new DAG version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG

from airflow_flowprovider.arguments import blamed_on, dag_arguments
from airflow_flowprovider.assets import schedule_of
from airflow_flowprovider.checks import problems_of
from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.dag_params import dag_params
from airflow_flowprovider.docs import documentation, markdown
from airflow_flowprovider.project import deployed_name, deployed_project
from airflow_flowprovider.tasks import FlowTasks
from flowsdk.decorators.trigger import triggers_of
from flowsdk.exception import FlowLintError, UsageError
from flowsdk.flow import graph_of
from flowsdk.registry import mark_deployed

if TYPE_CHECKING:
    from flowsdk.flow import FlowSpec
    from flowsdk.graph import FlowGraph


def flow_dag(flow: type[FlowSpec], **dag_kwargs: Any) -> DAG:
    """The DAG of a flow, for files that want to say how: ``flow_dag(MyFlow, tags=["x"])``.

    A flow file needs this only to give the DAG arguments of its own; without it, the flow becomes a
    DAG by itself. As with any DAG, the file that Airflow is importing is the one that has it.

    Args:
        flow: The flow class.
        dag_kwargs: Arguments of Airflow's ``DAG``; they win over what the flow says, ``@airflow``
            included. Tags and params are added to the flow's.

    Raises:
        FlowLintError: The flow has problems, or what cannot be expressed as a DAG.
        UsageError: ``dag_id`` is given and not the flow's name, or Airflow refuses what ``@airflow``
            gives.
    """
    from airflow_flowprovider.discovery import withdraw

    # Before the other is made: to Airflow, DAGs of the same id are equal.
    withdraw(flow)
    return compile_flow(flow, **{"auto_register": True, **dag_kwargs})


def compile_flow(flow: type[FlowSpec], **dag_kwargs: Any) -> DAG:
    """As :func:`flow_dag`, for whoever registers the DAG himself."""
    config = ProviderConfig.load()
    graph = checked_graph(flow, config)
    given, location = dag_arguments(flow)
    arguments = _dag_arguments(flow, graph, {**given, **dag_kwargs}, config)
    tags = [*arguments["tags"], *(given.get("tags") or ()), *(dag_kwargs.get("tags") or ())]
    with blamed_on("@airflow", location):
        # Otherwise leaving the `with` block would register it, whoever asked for it.
        dag = DAG(**{"auto_register": False, **arguments, "tags": tags})
    # What only tasks have reaches them by way of the DAG.
    with dag, blamed_on("@airflow", location if "default_args" in given else ""):
        FlowTasks(flow, graph, config, dag, dag.dag_id).add()
    return dag


def checked_graph(flow: type[FlowSpec], config: ProviderConfig) -> FlowGraph:
    """The graph of a flow that becomes a part of Airflow.

    Raises:
        FlowLintError: The flow has problems, or what cannot be expressed as a DAG.
    """
    mark_deployed(flow)
    graph = graph_of(flow)
    problems = problems_of(flow, graph, config)
    if problems:
        raise FlowLintError(problems)
    return graph


def _dag_arguments(
    flow: type[FlowSpec], graph: FlowGraph, given: Mapping[str, Any], config: ProviderConfig
) -> dict[str, Any]:
    project = deployed_project(flow, config)
    name = deployed_name(flow, config)
    if given.get("dag_id", name) != name:
        # Runs are stored under the flow's name and the run's id: two DAGs would share them.
        raise UsageError(
            f"DAG of flow {flow.__name__}: found dag_id={given['dag_id']!r}, expected none or {name!r}. For "
            f"a DAG of another name, subclass the flow under that name."
        )
    from_events = {name for event in triggers_of(flow, project).events for name in event.parameters}
    return {
        "dag_id": name,
        "description": graph.doc.split("\n", 1)[0] or None,
        "doc_md": markdown(documentation(flow, graph)),
        **schedule_of(flow, project),
        **given,
        "params": {**dag_params(flow, from_events), **(given.get("params") or {})},
        "tags": ["flow", *(project.tags[:1] if project else ())],
    }
