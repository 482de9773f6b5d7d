from __future__ import annotations

from collections.abc import Callable

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TaskGroup, task, task_group
from airflow.sdk.definitions.taskgroup import MappedTaskGroup

from airflow_flowprovider import FlowTaskGroup
from airflow_flowprovider.compat import group_docs
from airflow_flowprovider.operators.step import FlowStepOperator
from flowsdk import FlowSpec, Parameter, airflow, airflow_sensor, step
from flowsdk.exception import FlowLintError, UsageError
from tests.airflow_flowprovider.dagfiles import DagFile, serialized


@airflow(pool="small", max_active_runs=1)
@airflow_sensor("airflow.providers.standard.sensors.bash.BashSensor", bash_command="true")
class GroupedFlow(FlowSpec):
    """Is a part of something."""

    size = Parameter("size", default=3)

    @step
    def start(self):
        self.xs = range(self.size)
        self.next(self.each, foreach="xs")

    @step
    def each(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class OtherFlow(GroupedFlow):
    pass


def test_a_group_stands_between_other_tasks() -> None:
    with DAG("etl") as dag:
        EmptyOperator(task_id="start") >> FlowTaskGroup(GroupedFlow) >> EmptyOperator(task_id="end")
    assert {one.task_id: set(one.downstream_task_ids) for one in dag.tasks} == {
        "start": {"GroupedFlow.bash_sensor"},
        "GroupedFlow.bash_sensor": {"GroupedFlow.start"},
        "GroupedFlow.start": {"GroupedFlow.each"},
        "GroupedFlow.each": {"GroupedFlow.join"},
        "GroupedFlow.join": {"GroupedFlow.end"},
        "GroupedFlow.end": {"end"},
        "end": set(),
    }
    group = dag.task_group.children["GroupedFlow"]
    assert isinstance(group, FlowTaskGroup)
    assert isinstance(group.children["GroupedFlow.foreach_xs"], MappedTaskGroup)
    assert group.tooltip == "Is a part of something."
    if group_docs("text"):
        assert "**Steps**" in group.doc_md
    assert serialized(dag)["task_group"]["children"]["GroupedFlow"]


def test_tasks_of_a_group_keep_their_data_apart_from_the_flows_own_dag() -> None:
    with DAG("etl", params={"size": 5}) as dag:
        FlowTaskGroup(GroupedFlow, group_id="part", parameters={"size": "{{ ds_nodash }}"})
    start = dag.get_task("part.start")
    assert isinstance(start, FlowStepOperator)
    assert start.pathspec == "etl.GroupedFlow/{{ run_id }}/start"
    assert start.parameters == {"size": "{{ ds_nodash }}"}
    assert (start.step, start.task_display_name, start.pool) == ("start", "start", "small")
    end = dag.get_task("part.end")
    assert [asset.name for asset in end.outlets] == ["etl.GroupedFlow"]
    assert end.parameters is None


def test_params_stay_with_the_dag_and_are_copied_where_they_are_read() -> None:
    with DAG("etl", params={"size": 5, "other": Param(type="string")}) as dag:
        FlowTaskGroup(GroupedFlow)
        EmptyOperator(task_id="after")
    assert list(dag.params) == ["size", "other"]
    assert dag.params.get_param("other").schema == {"type": "string"}
    assert {one.task_id: list(one.params) for one in dag.tasks} == {
        "GroupedFlow.bash_sensor": ["size", "other"],
        "GroupedFlow.start": ["size", "other"],
        **{f"GroupedFlow.{name}": [] for name in ("each", "join", "end")},
        "after": ["size", "other"],
    }


def test_params_stay_where_airflow_refuses_a_task() -> None:
    class RefusedFlow(OtherFlow):
        @airflow(pool_slots=0)
        @step
        def end(self):
            pass

    with (
        DAG("etl", params={"size": 5}) as dag,
        pytest.raises(UsageError, match="pool slots for RefusedFlow.end"),
    ):
        FlowTaskGroup(RefusedFlow)
    assert dag.params.dump() == {"size": 5}


def test_what_a_task_returns_may_be_a_parameter() -> None:
    with DAG("etl") as dag:

        @task
        def count() -> int:
            return 4

        FlowTaskGroup(GroupedFlow, parameters={"size": count()})
    assert dag.get_task("count").downstream_task_ids == {"GroupedFlow.start"}


def test_a_group_may_lie_in_another() -> None:
    with DAG("etl") as dag, TaskGroup("outer"):
        FlowTaskGroup(GroupedFlow, group_id="part")
    assert "outer.part.each" in dag.task_ids


def test_a_dag_has_a_flow_once() -> None:
    with DAG("etl"):
        FlowTaskGroup(GroupedFlow, group_id="one")
        FlowTaskGroup(OtherFlow)
        with pytest.raises(UsageError, match="found it twice in DAG 'etl'"):
            FlowTaskGroup(GroupedFlow, group_id="two")


def test_a_group_is_not_mapped() -> None:
    with DAG("etl"):

        @task_group
        def mapped(x: int) -> None:
            FlowTaskGroup(GroupedFlow)

        with pytest.raises(UsageError, match="found it in a mapped group"):
            mapped.expand(x=[1, 2])


def test_unknown_parameters() -> None:
    with DAG("etl"), pytest.raises(UsageError, match="found parameters 'sise', expected size. Did"):
        FlowTaskGroup(GroupedFlow, parameters={"sise": 1})


def test_problems_of_the_flow() -> None:
    class BrokenFlow(FlowSpec):
        @step
        def start(self):
            self.next(self.nowhere)

    with DAG("etl"), pytest.raises(FlowLintError, match="nowhere"):
        FlowTaskGroup(BrokenFlow)


def test_a_flow_of_the_same_file_is_no_dag_besides(dag_file: Callable[..., DagFile]) -> None:
    file = dag_file(
        """
        from airflow.sdk import DAG
        from airflow_flowprovider import FlowTaskGroup
        from flowsdk import FlowSpec, step

        class InnerFlow(FlowSpec):
            @step
            def start(self):
                pass

        with DAG("whole"):
            FlowTaskGroup(InnerFlow)
        """
    )
    assert list(file.dags) == ["whole"]


def test_modules_that_only_jobs_have_are_stood_in_for(
    dag_file: Callable[..., DagFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        import only_jobs_have_it
        from flowsdk import FlowSpec, step

        class ElsewhereFlow(FlowSpec):
            @step
            def start(self):
                pass
    """
    beside = dag_file(source, "flow_beside_a_dag.py")
    monkeypatch.syspath_prepend(str(beside.path.parent))
    file = dag_file(
        """
        from airflow.sdk import DAG
        from airflow_flowprovider import FlowTaskGroup
        from flow_beside_a_dag import ElsewhereFlow

        with DAG("with_a_flow"):
            FlowTaskGroup(ElsewhereFlow)
        """
    )
    group = file.dag.task_group.children["ElsewhereFlow"]
    if group_docs("text"):
        assert "`only_jobs_have_it` (flow_beside_a_dag.py:1)" in group.doc_md
