"""``FlowTaskGroup``: a flow beside ordinary operators in a DAG of somebody's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup
from airflow.sdk.definitions.taskgroup import MappedTaskGroup

from airflow_flowprovider.arguments import dag_arguments
from airflow_flowprovider.compat import group_docs
from airflow_flowprovider.compiler import checked_graph
from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.discovery import withdraw
from airflow_flowprovider.docs import documentation, markdown
from airflow_flowprovider.operators.step import FlowStepOperator
from airflow_flowprovider.tasks import FlowTasks
from flowsdk.exception import UsageError, did_you_mean
from flowsdk.parameters import collect_parameters

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from flowsdk.flow import FlowSpec


class FlowTaskGroup(TaskGroup):
    """The steps of a flow as a group of tasks: ``extract() >> FlowTaskGroup(MyFlow) >> notify()``.

    The flow's runs are those of the DAG, with its run ids. They are stored and read under the name
    ``<dag_id>.<class>``, apart from those that the flow has as a DAG of its own.

    Args:
        flow: The flow class. It belongs into a file of its own: jobs import that file, and they have
            no Airflow.
        group_id: Of the group; by default the name of the class. Task ids are ``<group_id>.<step>``.
        parameters: Values of the flow's parameters: plain ones, templates, or what other tasks return.
            A parameter that is not given takes that of the same name of the DAG, or its default.
        kwargs: Of Airflow's ``TaskGroup``.

    Raises:
        FlowLintError: The flow has problems, or what cannot be expressed in a DAG.
        UsageError: A parameter is unknown, the DAG has the flow already, or the group is mapped.
    """

    def __init__(
        self,
        flow: type[FlowSpec],
        group_id: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        withdraw(flow)
        config = ProviderConfig.load()
        graph = checked_graph(flow, config)
        _check_parameters(flow, parameters or {})
        own = {
            **group_docs(markdown(documentation(flow, graph))),
            "tooltip": graph.doc.partition("\n")[0],
            "default_args": dag_arguments(flow)[0].get("default_args", {}),
        }
        super().__init__(group_id=group_id or flow.__name__, **{**own, **kwargs})
        _check_place(self, flow)
        name = f"{self.dag.dag_id}.{flow.__name__}"
        prefix = f"{self.group_id}." if self.prefix_group_id else ""
        with self:
            FlowTasks(flow, graph, config, self.dag, name, prefix, dict(parameters or {})).add()


def _check_parameters(flow: type, given: Mapping[str, Any]) -> None:
    known = collect_parameters(flow)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(
            f"FlowTaskGroup of flow {flow.__name__}: found parameters "
            f"{', '.join(map(repr, unknown))}, expected {', '.join(known) or 'none'}."
            f"{did_you_mean(unknown[0], known)}"
        )


def _check_place(group: TaskGroup, flow: type) -> None:
    if any(isinstance(outer, MappedTaskGroup) for outer in _around(group)):
        raise UsageError(
            f"FlowTaskGroup of flow {flow.__name__}: found it in a mapped group, expected none around "
            f"it, for a run has a flow once. Let a foreach of the flow do the mapping."
        )
    if flow.__name__ in _flows_of(group.dag):
        raise UsageError(
            f"FlowTaskGroup of flow {flow.__name__}: found it twice in DAG {group.dag.dag_id!r}, "
            f"expected once, for a run has a flow once. Subclass the flow under another name."
        )


def _around(group: TaskGroup) -> Iterator[TaskGroup]:
    outer = group.parent_group
    while outer is not None:
        yield outer
        outer = outer.parent_group


def _flows_of(dag: DAG) -> set[str]:
    return {task.flow.__name__ for task in dag.tasks if isinstance(task, FlowStepOperator)}
