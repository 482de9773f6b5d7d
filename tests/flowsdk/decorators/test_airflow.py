from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowsdk import (
    FlowSpec,
    airflow,
    airflow_external_task_sensor,
    airflow_s3_key_sensor,
    airflow_sensor,
    step,
)
from flowsdk.decorators.airflow_sensors import sensors_of
from flowsdk.decorators.base import decorators_of
from flowsdk.decorators.prepare import flow_decorators
from flowsdk.exception import DecoratorError


@airflow_sensor("some.module.S3KeySensor", bucket_key="a")
@airflow_sensor("some.module.HTTPSensor", task_id="answers", endpoint="b")
@airflow_s3_key_sensor(bucket_key="s3://b/c", description="Waits.")
@airflow(max_active_runs=1)
class SensedFlow(FlowSpec):
    @airflow(pool="small")
    @step
    def start(self):
        pass


def test_steps_and_flows_keep_what_they_are_given() -> None:
    (on_step,) = decorators_of(SensedFlow, "start")
    (on_flow,) = flow_decorators(SensedFlow, "airflow")
    assert (on_step.attributes, on_flow.attributes) == ({"pool": "small"}, {"max_active_runs": 1})
    assert on_step.location.startswith(f"{__file__}:")
    assert on_flow.location.startswith(f"{__file__}:")


def test_sensors_in_the_order_of_the_source_kind_by_kind() -> None:
    first, second, third = sensors_of(SensedFlow)
    assert (first.name, first.task_id, first.arguments) == (
        "s3_key_sensor", None, {"bucket_key": "a"},
    )  # fmt: skip
    assert (second.name, second.task_id, second.arguments) == (
        "http_sensor", "answers", {"endpoint": "b"},
    )  # fmt: skip
    assert third.sensor == "airflow.providers.amazon.aws.sensors.s3.S3KeySensor"
    assert third.arguments == {
        "bucket_key": "s3://b/c",
        "wildcard_match": False,
        "timeout": 3600,
        "poke_interval": 60,
        "mode": "reschedule",
        "exponential_backoff": True,
        "soft_fail": False,
        "doc": "Waits.",
    }


@pytest.mark.parametrize("target", [1, "text", len])
def test_airflow_is_for_steps_and_flows(target: Any) -> None:
    with pytest.raises(DecoratorError, match="@airflow .*not a step"):
        airflow(pool="x")(target)


def test_airflow_once() -> None:
    with pytest.raises(DecoratorError, match="found twice on flow"):
        airflow(tags=["x"])(SensedFlow)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (airflow_sensor, "found the sensor None, expected a class or the dotted name"),
        (lambda: airflow_sensor("NoModule"), "found the sensor 'NoModule'"),
        (airflow_s3_key_sensor, "found no bucket_key"),
        (lambda: airflow_s3_key_sensor(bucket_key="a", mode="now"), "expected 'poke' or 'resch"),
        (lambda: airflow_s3_key_sensor(bucket_keys="a"), "Did you mean 'bucket_key'"),
        (airflow_external_task_sensor, "found no external_dag_id"),
        (
            lambda: airflow_external_task_sensor(external_dag_id="a", allowed_states=["succes"]),
            "Did you mean 'success'",
        ),
        (
            lambda: airflow_external_task_sensor(external_dag_id="a", execution_delta=60),
            "expected a datetime.timedelta",
        ),
    ],
)
def test_what_can_be_wrong_without_airflow(declare: Any, message: str) -> None:
    with pytest.raises(DecoratorError, match=message):
        declare()


def test_metaflows_arguments_are_taken() -> None:
    airflow_external_task_sensor(
        external_dag_id="a",
        external_task_ids=["b"],
        allowed_states=["success", "failed"],
        failed_states=["skipped"],
        execution_delta=timedelta(days=1),
        check_existence=False,
        timeout=1,
        poke_interval=1,
        mode="poke",
        exponential_backoff=False,
        pool="p",
        soft_fail=True,
        name="n",
        description="d",
    )
