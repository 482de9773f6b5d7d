from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.taskgroup import MappedTaskGroup

from airflow_flowprovider import flow_dag
from airflow_flowprovider.compiler import compile_flow
from airflow_flowprovider.operators.step import FlowStepOperator
from flowsdk import FlowSpec, Parameter, environment, retry, schedule, step
from flowsdk.exception import FlowLintError, UsageError
from tests.airflow_flowprovider.dagfiles import DagFile
from tests.airflow_flowprovider.moved import cron


@schedule(cron="30 6 * * 1-5", timezone="Europe/Berlin")
class MappedFlow(FlowSpec):
    """Splits twice.

    And again.
    """

    size = Parameter("size", default=3, min=1, help="How many.")

    @step
    def start(self):
        """Lines them up."""
        self.xs = range(self.size)
        self.next(self.one, foreach="xs")

    @retry(times=4, minutes_between_retries=0.5)
    @step
    def one(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.next(self.both)

    @step
    def right(self):
        self.next(self.both)

    @step
    def both(self, inputs):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


@pytest.fixture(scope="module")
def dag() -> DAG:
    return compile_flow(MappedFlow)


def edges(dag: DAG) -> dict[str, set[str]]:
    return {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}


def test_every_step_is_a_task_of_its_name(dag: DAG) -> None:
    assert [task.task_id for task in dag.tasks] == [
        "start", "one", "left", "right", "both", "gather", "end",
    ]  # fmt: skip
    for task in dag.tasks:
        assert isinstance(task, FlowStepOperator)
        assert (task.flow, task.step) == (MappedFlow, task.task_id)


def test_tasks_follow_each_other_as_the_steps_do(dag: DAG) -> None:
    assert edges(dag) == {
        "start": {"one"},
        "one": {"left", "right"},
        "left": {"both"},
        "right": {"both"},
        "both": {"gather"},
        "gather": {"end"},
        "end": set(),
    }
    assert {task.trigger_rule.value for task in dag.tasks} == {"all_success"}


def test_the_body_of_a_foreach_is_mapped(dag: DAG) -> None:
    groups = dag.task_group.children
    assert set(groups) == {"start", "foreach_xs", "gather", "end"}
    group = groups["foreach_xs"]
    assert isinstance(group, MappedTaskGroup)
    assert list(group.children) == ["one", "left", "right", "both"]
    assert [task.task_id for task in group.iter_mapped_dependencies()] == ["start"]
    labels = {task.task_id: task.map_index_template for task in dag.tasks}
    assert labels.pop("start") is labels.pop("gather") is labels.pop("end") is None
    assert set(labels.values()) == {"{{ flow_split_label }}"}


def test_the_dag_says_what_the_flow_says(dag: DAG) -> None:
    assert dag.dag_id == "MappedFlow"
    assert dag.description == "Splits twice."
    assert dag.doc_md.startswith("Splits twice.\n\nAnd again.\n\n**Steps**\n")
    assert dag.get_task("start").doc_md == "Lines them up."
    assert dag.get_task("one").doc_md is None
    assert dag.tags == {"flow"}
    assert dag.catchup is False
    assert cron(dag.timetable) == "30 6 * * 1-5"
    timezone = getattr(dag.timetable, "timezone", None) or dag.timetable._timezone  # Airflow 3.1
    assert str(timezone) == "Europe/Berlin"
    assert dag.params.get_param("size").schema["minimum"] == 1


def test_the_platform_has_retries_of_its_own(dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (dag.get_task("left").retries, dag.get_task("left").retry_delay) == (
        2,
        timedelta(seconds=10),
    )
    assert (dag.get_task("one").retries, dag.get_task("one").retry_delay) == (
        6,
        timedelta(seconds=30),
    )
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__INFRASTRUCTURE_RETRIES", "0")
    assert compile_flow(MappedFlow).get_task("left").retries == 0


def test_a_flow_that_says_nothing_is_a_plain_dag() -> None:
    class OneFlow(FlowSpec):
        @step
        def start(self):
            pass

    dag = compile_flow(OneFlow)
    assert not dag.timetable.can_be_scheduled
    assert dag.description is None
    assert dag.doc_md == "**Steps**\n\n- `start`"
    assert edges(dag) == {"start": set()}


def test_two_foreach_over_the_same_artifact_are_two_groups() -> None:
    class TwiceFlow(FlowSpec):
        @step
        def start(self):
            self.xs = [1]
            self.next(self.foreach_xs, foreach="xs")

        @step
        def foreach_xs(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.again)

        @step
        def again(self):
            self.xs = [2]
            self.next(self.body, foreach="xs")

        @step
        def body(self):
            self.next(self.join_again)

        @step
        def join_again(self, inputs):
            self.next(self.end)

        @step
        def end(self):
            pass

    dag = compile_flow(TwiceFlow)
    assert list(dag.task_group.children) == [
        "start", "foreach_xs_2", "join", "again", "foreach_xs_3", "join_again", "end",
    ]  # fmt: skip
    assert edges(dag)["again"] == {"body"}


def test_flow_dag_takes_arguments_of_the_dag() -> None:
    dag = flow_dag(
        MappedFlow, schedule=None, tags=["mine"], max_active_runs=1, params={"more": "x"}
    )
    assert dag.tags == {"flow", "mine"}
    assert dag.max_active_runs == 1
    assert not dag.timetable.can_be_scheduled
    assert dict(dag.params) == {"size": 3, "more": "x"}


def test_flow_dag_keeps_the_flows_name() -> None:
    assert flow_dag(MappedFlow, dag_id="MappedFlow").dag_id == "MappedFlow"
    with pytest.raises(UsageError, match="dag_id='other', expected none or 'MappedFlow'"):
        flow_dag(MappedFlow, dag_id="other")


@pytest.mark.parametrize("assigned", ["dag = ", ""])
def test_a_file_with_flow_dag_has_one_dag(dag_file: Callable[..., DagFile], assigned: str) -> None:
    file = dag_file(
        f"""
        from airflow_flowprovider import flow_dag
        from flowsdk import FlowSpec, step

        class ExplicitFlow(FlowSpec):
            @step
            def start(self):
                self.next(self.end)

            @step
            def end(self):
                pass

        {assigned}flow_dag(ExplicitFlow, max_active_runs=3)
        """
    )
    assert file.dag.max_active_runs == 3


def test_problems_of_all_kinds_come_together() -> None:
    class WrongFlow(FlowSpec):
        share = Parameter("share", default="much", type=float)

        @step
        def start(self):
            self.next(self.nowhere)

        @step
        def end(self):
            pass

    with pytest.raises(FlowLintError) as caught:
        compile_flow(WrongFlow)
    rules = {problem.rule for problem in caught.value.problems}
    assert {"unknown-step", "parameter"} <= rules


def test_no_code_of_the_user_runs() -> None:
    def explode(context: Any) -> int:
        raise AssertionError(context)

    class LazyFlow(FlowSpec):
        when = Parameter("when", default=explode, type=int)

        @environment(vars={"A": "b"})
        @step
        def start(self):
            raise AssertionError

    assert compile_flow(LazyFlow).params["when"] is None


def test_a_docstring_is_never_taken_for_a_file() -> None:
    class Documented(FlowSpec):
        __doc__ = "x" * 400 + " see README.md"

        @step
        def start(self):
            "See README.md"
            self.next(self.end)

        @step
        def end(self):
            pass

    assert Documented.__doc__ in compile_flow(Documented).doc_md
    assert compile_flow(Documented).get_task("start").doc_md == "See README.md\n"
