from __future__ import annotations

import textwrap
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import airflow.sdk as airflow_sdk
import pytest

from airflow_flowprovider import flow_dag
from airflow_flowprovider.compiler import compile_flow
from flowsdk import FlowSpec, airflow, step
from flowsdk.exception import FlowLintError, UsageError
from tests.airflow_flowprovider.dagfiles import DagFile

TOLD: list[Any] = []


def tell(context: Any) -> None:
    TOLD.append(context)


@airflow(
    owner="data",
    pool="small",
    max_active_runs=2,
    dagrun_timeout=timedelta(hours=1),
    owner_links={"data": "https://example.com/data"},
    tags=["nightly"],
    fail_fast=True,
    on_failure_callback="tests.airflow_flowprovider.test_arguments.tell",
    default_args={"on_failure_callback": tell, "priority_weight": 3},
)
class ArguedFlow(FlowSpec):
    @airflow(pool="large", pool_slots=2, weight_rule="upstream", queue="kubernetes")
    @step
    def start(self):
        self.xs = [1]
        self.next(self.each, foreach="xs")

    @airflow(max_active_tis_per_dagrun=5, on_retry_callback=[tell], executor_config={"a": 1})
    @step
    def each(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @airflow(depends_on_past=True, retry_exponential_backoff=True, max_retry_delay=60)
    @step
    def end(self):
        pass


def test_a_step_has_the_arguments_of_its_task() -> None:
    dag = compile_flow(ArguedFlow)
    start, each, end = (dag.get_task(name) for name in ("start", "each", "end"))
    assert (start.pool, start.pool_slots, start.queue) == ("large", 2, "kubernetes")
    assert "upstream" in str(start.weight_rule).lower()
    assert each.max_active_tis_per_dagrun == 5
    assert (each.on_retry_callback, each.executor_config) == ([tell], {"a": 1})
    assert end.depends_on_past
    assert (end.retry_exponential_backoff, end.max_retry_delay) == (True, timedelta(minutes=1))


def test_a_flow_has_the_arguments_of_its_dag_and_of_all_its_tasks() -> None:
    dag = compile_flow(ArguedFlow)
    assert (dag.max_active_runs, dag.dagrun_timeout) == (2, timedelta(hours=1))
    assert dag.tags == {"flow", "nightly"}
    assert dag.fail_fast
    assert dag.owner == "data"
    assert dag.owner_links == {"data": "https://example.com/data"}
    assert dag.on_failure_callback is tell
    assert {task.owner for task in dag.tasks} == {"data"}
    assert {task.task_id: task.pool for task in dag.tasks} == {
        "start": "large", "each": "small", "join": "small", "end": "small",
    }  # fmt: skip
    assert {task.priority_weight for task in dag.tasks} == {3}
    assert all(list(task.on_failure_callback) == [tell] for task in dag.tasks)


def test_access_to_a_flow() -> None:
    @airflow(access_control={"Viewer": {"DAGs": {"can_read"}}})
    class ReadableFlow(FlowSpec):
        @step
        def start(self):
            pass

    with pytest.warns(DeprecationWarning, match="permissions"):  # Airflow's, of itself
        dag = compile_flow(ReadableFlow)
    assert dag.access_control == {"Viewer": {"DAGs": {"can_read"}}}


def test_flow_dag_wins() -> None:
    dag = flow_dag(ArguedFlow, max_active_runs=1, tags=["mine"])
    assert (dag.max_active_runs, dag.dagrun_timeout) == (1, timedelta(hours=1))
    assert dag.tags == {"flow", "nightly", "mine"}


@pytest.mark.skipif(
    not hasattr(airflow_sdk, "AsyncCallback"), reason="this Airflow has no deadlines like these"
)
def test_an_object_may_be_in_a_module_that_only_airflow_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alerts_of_ours.py").write_text(
        textwrap.dedent("""
        from datetime import timedelta
        from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference

        async def tell(**kwargs): ...

        late = DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(hours=2),
            callback=AsyncCallback(tell),
        )
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    @airflow(deadline="alerts_of_ours.late")
    class PunctualFlow(FlowSpec):
        @step
        def start(self):
            pass

    (deadline,) = compile_flow(PunctualFlow).deadline
    assert deadline.interval == timedelta(hours=2)


def test_all_wrong_names_come_at_once_with_their_places(dag_file: Callable[..., DagFile]) -> None:
    file = dag_file(
        """
        from flowsdk import FlowSpec, airflow, step

        @airflow(max_active_run=1, schedule="@daily", default_args={"poool": "x"})
        class WrongFlow(FlowSpec):
            @airflow(pol="x", retries=3, on_failure_callback="nowhere.at_all")
            @step
            def start(self):
                self.next(self.end)

            @airflow(trigger_rule="all_done", task_id="other")
            @step
            def end(self):
                pass
        """
    )
    assert list(map(str.strip, file.import_error.splitlines())) == [
        "FlowLintError: 8 problems in the flow:",
        f"{file.path}:3: airflow: @airflow of flow WrongFlow: found 'max_active_run', expected an "
        f"argument of Airflow's DAG or BaseOperator. Did you mean 'max_active_runs' or 'max_active_tasks' "
        f"or 'max_active_tis_per_dagrun'?",
        f"{file.path}:3: airflow: @airflow of flow WrongFlow: found schedule, expected @schedule, "
        f"@trigger or @trigger_on_finish instead.",
        f"{file.path}:3: airflow: @airflow of default_args of flow WrongFlow: found 'poool', expected "
        f"an argument of Airflow's BaseOperator. Did you mean 'pool'?",
        f"{file.path}:5: airflow: @airflow of step 'start': found 'pol', expected an argument of "
        f"Airflow's BaseOperator. Did you mean 'pool'?",
        f"{file.path}:5: airflow: @airflow of step 'start': found retries, expected @retry instead.",
        f"{file.path}:5: airflow: @airflow of step 'start': found on_failure_callback="
        f"'nowhere.at_all' (No module named 'nowhere'), expected the dotted name of what there is "
        f"in a module.",
        f"{file.path}:10: airflow: @airflow of step 'end': found trigger_rule, expected splits, "
        f"switches and joins instead.",
        f"{file.path}:10: airflow: @airflow of step 'end': found task_id, expected the name of the "
        f"step instead.",
    ]


def test_what_airflow_refuses_names_the_decorator(dag_file: Callable[..., DagFile]) -> None:
    file = dag_file(
        """
        from flowsdk import FlowSpec, airflow, step

        class RefusedFlow(FlowSpec):
            @airflow(pool_slots=0)
            @step
            def start(self):
                pass
        """
    )
    assert f"@airflow ({file.path}:4): " in file.import_error
    assert "pool slots" in file.import_error


def test_what_airflow_refuses_of_a_dag_names_the_decorator() -> None:
    @airflow(max_active_runs="many", dagrun_timeout="long")
    class RefusedDagFlow(FlowSpec):
        @step
        def start(self):
            pass

    with pytest.raises(UsageError, match=r"@airflow \(.*test_arguments.py:\d+\): "):
        compile_flow(RefusedDagFlow)


def test_default_args_must_be_a_dict() -> None:
    @airflow(default_args=["pool"])
    class ListedFlow(FlowSpec):
        @step
        def start(self):
            pass

    with pytest.raises(FlowLintError, match=r"found \['pool'\], expected a dict"):
        compile_flow(ListedFlow)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tags": "nightly"}, "found tags='nightly', expected a list of texts"),
        ({"tags": [1]}, r"found tags=\[1\], expected a list of texts"),
        ({"on_failure_callback": "json"}, "found on_failure_callback='json', expected a function"),
        ({"on_success_callback": [tell, 3]}, "expected a function, or the dotted name of one"),
    ],
)
def test_what_airflow_would_make_nonsense_of(given: dict[str, Any], expected: str) -> None:
    @airflow(**given)
    class NonsenseFlow(FlowSpec):
        @step
        def start(self):
            pass

    with pytest.raises(FlowLintError, match=expected):
        compile_flow(NonsenseFlow)


def test_what_airflow_refuses_of_all_tasks_names_the_decorator() -> None:
    @airflow(pool=3)
    class PooledFlow(FlowSpec):
        @step
        def start(self):
            pass

    with pytest.raises(UsageError, match=r"@airflow \(.*test_arguments.py:\d+\): .*'pool'"):
        compile_flow(PooledFlow)
