"""``@airflow_sensor`` and its kin: what Airflow waits for before a flow starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from flowsdk.decorators.base import FlowDecorator
from flowsdk.exception import did_you_mean

_STATES = ("success", "failed", "skipped", "upstream_failed", "removed", "running", "queued")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class SensorSettings:
    """One sensor before the start step.

    Attributes:
        sensor: Its class, or the dotted name of it.
        task_id: Id of its task; None for one made of the name of the class.
        arguments: Of the class, ``task_id`` aside.
        location: ``file:line`` of the decorator.
    """

    sensor: Any
    task_id: str | None
    arguments: Mapping[str, Any]
    location: str

    @property
    def name(self) -> str:
        """Name of the class in words, e.g. ``s3_key_sensor``."""
        found = self.sensor if isinstance(self.sensor, str) else self.sensor.__name__
        return _WORD.sub("_", str(found).rpartition(".")[2]).lower()


class AirflowSensor(FlowDecorator):
    """Have Airflow wait for something before the flow starts. Without effect elsewhere.

    A flow may have several: it starts when all have found what they wait for.

    Args:
        sensor: The dotted name of a sensor class, or the class. With the name, the flow file need not
            import Airflow, which jobs do not have.
        attributes: Arguments of the class. ``task_id`` may be left out.
    """

    name = "airflow_sensor"
    allow_multiple = True
    any_attribute = True
    defaults: ClassVar[Mapping[str, Any]] = {"sensor": None}

    @property
    def settings(self) -> SensorSettings:
        """The sensor that is meant."""
        given = dict(self.attributes)
        sensor, task_id = given.pop("sensor"), given.pop("task_id", None)
        return SensorSettings(sensor, task_id, given, self.location)

    def check(self) -> None:
        """A class, or the dotted name of one, must be there."""
        sensor = self.attributes["sensor"]
        is_name = isinstance(sensor, str) and all(map(str.isidentifier, sensor.split(".")))
        if not (isinstance(sensor, type) or (is_name and "." in str(sensor))):
            raise self.error(
                f"found the sensor {sensor!r}, expected a class or the dotted name of one, such as "
                f"'airflow.providers.standard.sensors.bash.BashSensor'."
            )


def airflow_sensor(sensor: Any = None, /, **attributes: Any) -> Any:
    """What ``@airflow_sensor(…)`` calls; see :class:`AirflowSensor`."""
    return AirflowSensor(sensor=sensor, **attributes).attach


class _NamedSensor(FlowDecorator):
    """A sensor that Metaflow has, with the arguments that it has there."""

    allow_multiple = True
    #: Dotted name of the class.
    sensor: ClassVar[str]
    #: Attributes without which it makes no sense.
    required: ClassVar[str]
    #: Of every sensor.
    common: ClassVar[Mapping[str, Any]] = {
        "timeout": 3600,
        "poke_interval": 60,
        "mode": "reschedule",
        "exponential_backoff": True,
        "pool": None,
        "soft_fail": False,
        "name": None,
        "description": None,
    }

    @property
    def settings(self) -> SensorSettings:
        """The sensor that is meant."""
        given = {key: value for key, value in self.attributes.items() if value is not None}
        task_id, description = given.pop("name", None), given.pop("description", None)
        if description:
            given["doc"] = description
        return SensorSettings(self.sensor, task_id, given, self.location)

    def check(self) -> None:
        """What is waited for must be said, and the mode be one."""
        if not self.attributes[self.required]:
            raise self.error(f"found no {self.required}, expected one.")
        if (mode := self.attributes["mode"]) not in ("poke", "reschedule"):
            raise self.error(f"mode={mode!r}, expected 'poke' or 'reschedule'.")


class AirflowExternalTaskSensor(_NamedSensor):
    """Have Airflow wait for another DAG, or tasks of it. Without effect elsewhere.

    Args:
        external_dag_id: The DAG; that of a flow is called like the flow.
        external_task_ids: Its tasks; the whole DAG by default. A task is called like its step.
        allowed_states: States that are waited for. Default ``["success"]``.
        failed_states: States in which waiting fails.
        execution_delta: How much earlier the other's run is, a timedelta; by default it has the same
            logical date.
        check_existence: Whether what is waited for must exist. Default True.
        timeout: Seconds until waiting fails. Default 3600.
        poke_interval: Seconds between two looks. Default 60.
        mode: ``"reschedule"`` frees the worker between two looks, ``"poke"`` does not.
        exponential_backoff: Whether looks become rarer. Default True.
        pool: Airflow's pool of the task.
        soft_fail: Whether the flow is skipped where waiting fails. Default False.
        name: Id of the task.
        description: Shown with the task.
    """

    name = "airflow_external_task_sensor"
    sensor = "airflow.providers.standard.sensors.external_task.ExternalTaskSensor"
    required = "external_dag_id"
    defaults: ClassVar[Mapping[str, Any]] = {
        "external_dag_id": None,
        "external_task_ids": None,
        "allowed_states": ["success"],
        "failed_states": None,
        "execution_delta": None,
        "check_existence": True,
        **_NamedSensor.common,
    }

    def check(self) -> None:
        """States must be Airflow's, the delta a length of time."""
        super().check()
        for key in ("allowed_states", "failed_states"):
            for state in self.attributes[key] or ():
                if state not in _STATES:
                    raise self.error(
                        f"{key} has {state!r}, expected any of {', '.join(_STATES)}."
                        f"{did_you_mean(str(state), _STATES)}"
                    )
        delta = self.attributes["execution_delta"]
        if delta is not None and not isinstance(delta, timedelta):
            raise self.error(f"execution_delta={delta!r}, expected a datetime.timedelta.")


class AirflowS3KeySensor(_NamedSensor):
    """Have Airflow wait for an object in S3. Without effect elsewhere.

    Args:
        bucket_key: The key, or ``s3://bucket/key``; a list waits for all of them.
        bucket_name: The bucket, where the key does not say it.
        wildcard_match: Whether ``bucket_key`` is a Unix wildcard. Default False.
        aws_conn_id: Airflow's connection to AWS; its default if left out.
        verify: Whether TLS certificates are checked, or the path of those to check with.
        timeout: And the rest as of :class:`AirflowExternalTaskSensor`.
    """

    name = "airflow_s3_key_sensor"
    sensor = "airflow.providers.amazon.aws.sensors.s3.S3KeySensor"
    required = "bucket_key"
    defaults: ClassVar[Mapping[str, Any]] = {
        "bucket_key": None,
        "bucket_name": None,
        "wildcard_match": False,
        "aws_conn_id": None,
        "verify": None,
        **_NamedSensor.common,
    }


airflow_external_task_sensor = AirflowExternalTaskSensor.decorate
airflow_s3_key_sensor = AirflowS3KeySensor.decorate

#: All kinds; they are before the start step in this order, each kind in the order of the source.
SENSOR_DECORATORS = (AirflowSensor, AirflowExternalTaskSensor, AirflowS3KeySensor)


def sensors_of(flow: type) -> list[SensorSettings]:
    """The sensors before a flow's start step."""
    from flowsdk.decorators.prepare import flow_decorators

    return [
        decorator.settings
        for kind in SENSOR_DECORATORS
        for decorator in flow_decorators(flow, kind.name)
        if isinstance(decorator, kind)
    ]
