"""The tasks of a flow, in the DAG or TaskGroup that is being made."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import task_group

from airflow_flowprovider.arguments import blamed_on, task_arguments
from airflow_flowprovider.assets import flow_asset
from airflow_flowprovider.compat import retry_policy
from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.docs import markdown
from airflow_flowprovider.mapping import FlowMapping, ForeachGroup, trigger_rule
from airflow_flowprovider.operators.labels import LABEL_VARIABLE
from airflow_flowprovider.operators.step import FlowStepOperator
from airflow_flowprovider.sensors import make_sensors
from airflow_flowprovider.source_version import source_version
from flowsdk.decorators.settings import step_settings

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from flowsdk.flow import FlowSpec
    from flowsdk.graph import FlowGraph, Node

_LABEL_TEMPLATE = f"{{{{ {LABEL_VARIABLE} }}}}"
#: For tries that are the platform's fault: long enough for a host to go.
_RETRY_DELAY = timedelta(seconds=10)


class FlowTasks:
    """A task for each step of a flow, and one for each sensor before them.

    Args:
        flow: The flow class.
        graph: Its graph.
        config: The provider's settings.
        dag: The DAG that is being made.
        flow_name: What the flow is called here: its runs are stored under this name.
        prefix: Of the ids of tasks in the group that is being made, a dot at its end; empty for none.
        parameters: Values that the flow's parameters are given here, templates included.
    """

    def __init__(
        self,
        flow: type[FlowSpec],
        graph: FlowGraph,
        config: ProviderConfig,
        dag: DAG,
        flow_name: str,
        prefix: str = "",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self._flow = flow
        self._graph = graph
        self._mapping = FlowMapping(flow)
        self._config = config
        self._dag = dag
        self._flow_name = flow_name
        self._prefix = prefix
        self._parameters = parameters
        self._operators: dict[str, FlowStepOperator] = {}

    def add(self) -> None:
        """A task for each step, in a group where it is mapped, after the tasks it follows."""
        taken = [*self._graph.nodes, *(g.group_id for g in self._mapping.groups.values())]
        sensors = make_sensors(self._flow, taken)
        for node in self._graph.topological():
            if not node.foreaches:
                self._add_task(node)
            if node.name in self._mapping.groups:
                self._add_group(self._mapping.groups[node.name])
        for sensor in sensors:
            sensor >> self._operators[str(self._graph.start)]

    def _add_group(self, group: ForeachGroup) -> None:
        """The body of a foreach as a TaskGroup, mapped over the indices of the splits if it is."""

        @task_group(
            group_id=group.group_id,
            prefix_group_id=False,
            tooltip=f"for each of {group.var}, from step {group.split}",
        )
        def body(split: Any = None) -> None:  # noqa: ARG001  # the map index says which it is
            for name in group.steps:
                # Airflow puts the ids of groups around before those of what is directly in them.
                self._add_task(self._graph[name], self._prefix)

        if group.mapped:
            body.expand(split=self._operators[group.split].output)
        else:
            body()

    def _add_task(self, node: Node, prefix: str = "") -> None:
        is_start = node.name == self._graph.start
        settings = step_settings(self._flow, node.name)
        delay = _RETRY_DELAY
        if settings.retry_times:
            delay = timedelta(minutes=settings.retry_delay_minutes)
        opener = self._mapping.opener_of(node.name)
        own: dict[str, Any] = {
            # What waits for the flow waits for this.
            "outlets": [flow_asset(self._flow_name)] if not node.next else [],
            "retries": settings.tries - 1 + self._config.infrastructure_retries,
            "retry_delay": delay,
            **retry_policy(delay, _RETRY_DELAY),
            "doc_md": markdown(node.doc),
            "map_index_template": _LABEL_TEMPLATE if opener else None,
            "trigger_rule": trigger_rule(self._graph, node),
        }
        if self._prefix:
            own["task_display_name"] = node.name
        if is_start:
            own["code"] = source_version(self._graph.file)
            own["parameters"] = self._parameters
        given, location = task_arguments(self._flow, node)
        with blamed_on("@airflow", location), nullcontext() if is_start else _no_params(self._dag):
            operator = FlowStepOperator(
                task_id=f"{prefix}{node.name}",
                flow=self._flow,
                step=node.name,
                flow_name=self._flow_name,
                config=self._config,
                settings=settings,
                **own,
                **given,
            )
        for parent in node.parents:
            # A mapped group follows what it is mapped over by itself; a loop is one task instance.
            if parent not in (opener, node.name):
                self._operators[parent] >> operator
        self._operators[node.name] = operator


@contextmanager
def _no_params(dag: DAG) -> Iterator[None]:
    """Keep a DAG's params out of the task that is made meanwhile.

    Airflow copies all of them into each task, twice, and stores them with each. When it runs a task it
    takes the DAG's where the task has none (``airflow.sdk.definitions.param.process_params``), and
    writes the conf of the run into them: so the start step, which asks the DAG for their defaults,
    needs copies.
    """
    params = copy.copy(dag.params)
    for name in params:
        del dag.params[name]
    try:
        yield
    finally:
        dag.params.update(params)
