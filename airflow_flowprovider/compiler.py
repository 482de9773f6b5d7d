"""From a flow class to a DAG.

Pure: the class and Airflow's configuration in, a DAG out. No network, no datastore, no user code
runs, and an unchanged file gives the same serialized DAG byte for byte, so that parsing it again
does not make a new DAG version.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, task_group

from airflow_flowprovider.assets import flow_asset, schedule_of
from airflow_flowprovider.checks import problems_of
from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.dag_params import dag_params
from airflow_flowprovider.mapping import FlowMapping, ForeachGroup, trigger_rule
from airflow_flowprovider.operators.labels import LABEL_VARIABLE
from airflow_flowprovider.operators.step import FlowStepOperator
from airflow_flowprovider.placeholders import described
from airflow_flowprovider.project import deployed_name, deployed_project
from flowsdk.decorators.settings import step_settings
from flowsdk.decorators.trigger import triggers_of
from flowsdk.exception import FlowLintError, UsageError
from flowsdk.flow import graph_of
from flowsdk.registry import mark_deployed

if TYPE_CHECKING:
    from flowsdk.flow import FlowSpec
    from flowsdk.graph import FlowGraph, Node

_LABEL_TEMPLATE = f"{{{{ {LABEL_VARIABLE} }}}}"
#: For tries that are the platform's fault in steps without @retry: long enough for a host to go.
_RETRY_DELAY = timedelta(seconds=10)


def flow_dag(flow: type[FlowSpec], **dag_kwargs: Any) -> DAG:
    """The DAG of a flow, for files that want to say how: ``flow_dag(MyFlow, tags=["x"])``.

    A flow file needs this only to give the DAG arguments of its own; without it, the flow becomes a
    DAG by itself. As with any DAG, the file that Airflow is importing is the one that has it.

    Args:
        flow: The flow class.
        dag_kwargs: Arguments of Airflow's ``DAG``; they win over what the flow says. Tags and params
            are added to the flow's.

    Raises:
        FlowLintError: The flow has problems, or what cannot be expressed as a DAG.
        UsageError: ``dag_id`` is given and not the flow's name.
    """
    from airflow_flowprovider.discovery import withdraw

    # Before the other is made: to Airflow, DAGs of the same id are equal.
    withdraw(flow)
    return compile_flow(flow, **{"auto_register": True, **dag_kwargs})


def compile_flow(flow: type[FlowSpec], **dag_kwargs: Any) -> DAG:
    """As :func:`flow_dag`, for whoever registers the DAG himself."""
    mark_deployed(flow)
    graph = graph_of(flow)
    config = ProviderConfig.load()
    problems = problems_of(flow, graph, config)
    if problems:
        raise FlowLintError(problems)
    # Otherwise leaving the `with` block would register it, whoever asked for it.
    arguments = _dag_arguments(flow, graph, dag_kwargs, config)
    with DAG(**{"auto_register": False, **arguments}) as dag:
        _Tasks(flow, graph, config, dag.dag_id).add()
    return dag


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
        "doc_md": _markdown(described(graph.doc)),
        "schedule": schedule_of(flow, project),
        "catchup": False,
        **given,
        "params": {**dag_params(flow, from_events), **(given.get("params") or {})},
        "tags": ["flow", *(project.tags[:1] if project else ()), *(given.get("tags") or ())],
    }


def _markdown(doc: str) -> str | None:
    # Airflow takes text that ends in ".md" for the name of a file.
    return f"{doc}\n" if doc.endswith(".md") else doc or None


class _Tasks:
    """The tasks of the DAG whose ``with`` block is open."""

    def __init__(
        self, flow: type[FlowSpec], graph: FlowGraph, config: ProviderConfig, dag_id: str
    ) -> None:
        self._flow = flow
        self._graph = graph
        self._mapping = FlowMapping(flow)
        self._config = config
        self._dag_id = dag_id
        self._operators: dict[str, FlowStepOperator] = {}

    def add(self) -> None:
        """A task for each step, in a group where it is mapped, after the tasks it follows."""
        for node in self._graph.topological():
            if not node.foreaches:
                self._add_task(node)
            if node.name in self._mapping.groups:
                self._add_group(self._mapping.groups[node.name])

    def _add_group(self, group: ForeachGroup) -> None:
        """The body of a foreach as a TaskGroup, mapped over the indices of the splits if it is."""

        @task_group(
            group_id=group.group_id,
            prefix_group_id=False,
            tooltip=f"for each of {group.var}, from step {group.split}",
        )
        def body(split: Any = None) -> None:  # noqa: ARG001  # the map index says which it is
            for name in group.steps:
                self._add_task(self._graph[name])

        if group.mapped:
            body.expand(split=self._operators[group.split].output)
        else:
            body()

    def _add_task(self, node: Node) -> None:
        settings = step_settings(self._flow, node.name)
        delay = timedelta(minutes=settings.retry_delay_minutes)
        opener = self._mapping.opener_of(node.name)
        operator = FlowStepOperator(
            task_id=node.name,
            flow=self._flow,
            step=node.name,
            config=self._config,
            settings=settings,
            # What waits for the flow waits for this.
            outlets=[flow_asset(self._dag_id)] if not node.next else [],
            retries=settings.tries - 1 + self._config.infrastructure_retries,
            retry_delay=delay if settings.retry_times else _RETRY_DELAY,
            doc_md=_markdown(node.doc),
            map_index_template=_LABEL_TEMPLATE if opener else None,
            trigger_rule=trigger_rule(self._graph, node),
        )
        for parent in node.parents:
            # A mapped group follows what it is mapped over by itself; a loop is one task instance.
            if parent not in (opener, node.name):
                self._operators[parent] >> operator
        self._operators[node.name] = operator
