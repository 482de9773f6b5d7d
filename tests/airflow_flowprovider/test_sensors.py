from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from airflow.providers.standard.sensors.bash import BashSensor
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor

from airflow_flowprovider.compiler import compile_flow
from flowsdk import (
    FlowSpec,
    airflow,
    airflow_external_task_sensor,
    airflow_s3_key_sensor,
    airflow_sensor,
    step,
)
from flowsdk.exception import UsageError
from tests.airflow_flowprovider.dagfiles import DagFile

BASH = "airflow.providers.standard.sensors.bash.BashSensor"


class Steps(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


@airflow(pool="small")
@airflow_sensor(BASH, bash_command="test -e /tmp/{{ ds }}", poke_interval=5, mode="reschedule")
@airflow_sensor(BashSensor, bash_command="true")
@airflow_sensor(
    "airflow.providers.standard.sensors.date_time.DateTimeSensorAsync",
    task_id="noon",
    target_time="{{ logical_date.replace(hour=12) }}",
)
@airflow_external_task_sensor(
    external_dag_id="HelloFlow", execution_delta=timedelta(hours=1), pool="large", description="Hi."
)
@airflow_s3_key_sensor(bucket_key="s3://bucket/{{ ds }}", name="object", timeout=60)
class WaitingFlow(Steps):
    pass


def test_sensors_are_before_the_start_step() -> None:
    dag = compile_flow(WaitingFlow)
    assert [task.task_id for task in dag.tasks] == [
        "bash_sensor", "bash_sensor_2", "noon", "external_task_sensor", "object", "start", "end",
    ]  # fmt: skip
    assert dag.get_task("start").upstream_task_ids == set(dag.task_ids) - {"start", "end"}
    assert dag.get_task("end").upstream_task_ids == {"start"}


def test_sensors_have_their_arguments() -> None:
    dag = compile_flow(WaitingFlow)
    first = dag.get_task("bash_sensor")
    assert isinstance(first, BashSensor)
    assert (first.bash_command, first.poke_interval) == ("test -e /tmp/{{ ds }}", 5)
    assert (first.mode, first.pool) == ("reschedule", "small")
    other = dag.get_task("external_task_sensor")
    assert isinstance(other, ExternalTaskSensor)
    assert (other.external_dag_id, other.execution_delta) == ("HelloFlow", timedelta(hours=1))
    assert (other.allowed_states, other.check_existence) == (["success"], True)
    assert (other.pool, other.mode, other.timeout) == ("large", "reschedule", 3600)
    assert other.doc == "Hi."
    key = dag.get_task("object")
    assert (key.bucket_key, key.timeout, key.exponential_backoff) == (
        "s3://bucket/{{ ds }}",
        60,
        True,
    )


def test_all_that_is_wrong_with_sensors_comes_at_once(dag_file: Callable[..., DagFile]) -> None:
    file = dag_file(
        f"""
        from flowsdk import FlowSpec, airflow_sensor, step

        @airflow_sensor("{BASH}", bash_comand="true")
        @airflow_sensor("{BASH}", task_id="start", bash_command="true", dag=None)
        @airflow_sensor("airflow.providers.nobody.sensors.NoSensor")
        @airflow_sensor("os.path.join")
        class WrongFlow(FlowSpec):
            @step
            def start(self):
                pass
        """
    )
    where, of = f"{file.path}", "of flow WrongFlow"
    head, *lines = map(str.strip, file.import_error.splitlines())
    assert head == "FlowLintError: 6 problems in the flow:"
    assert lines[:2] == [
        f"{where}:3: airflow: Sensor 'bash_sensor' {of}: found 'bash_comand', expected an argument of "
        f"BashSensor. Did you mean 'bash_command'?",
        f"{where}:3: airflow: Sensor 'bash_sensor' {of}: found no bash_command, expected what "
        f"BashSensor needs.",
    ]
    assert lines[2].startswith(
        f"{where}:4: airflow: Sensor 'start' {of}: found the task id 'start', expected one that no"
    )
    assert lines[3].startswith(
        f"{where}:4: airflow: Sensor 'start' {of}: found 'dag', expected an argument of BashSensor."
    )
    assert lines[4].startswith(f"{where}:5: airflow: Sensor 'no_sensor' {of}: found ")
    assert "Install the provider" in lines[4]
    assert "<function join" in lines[5]
    assert len(lines) == 6


def test_what_a_sensor_refuses_names_the_decorator() -> None:
    @airflow_sensor(BASH, bash_command="true", mode="sleep")
    class RefusedFlow(Steps):
        pass

    with pytest.raises(UsageError, match=r"Sensor 'bash_sensor' \(.*test_sensors.py:\d+\): .*mode"):
        compile_flow(RefusedFlow)
