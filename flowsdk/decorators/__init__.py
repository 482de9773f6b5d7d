"""Decorators of steps and flows, one module per concern."""

from __future__ import annotations

from flowsdk.decorators.airflow import Airflow, AirflowDag, airflow
from flowsdk.decorators.airflow_sensors import (
    AirflowExternalTaskSensor,
    AirflowS3KeySensor,
    AirflowSensor,
    airflow_external_task_sensor,
    airflow_s3_key_sensor,
    airflow_sensor,
)
from flowsdk.decorators.base import FlowDecorator, StepDecorator, parse_spec
from flowsdk.decorators.batch import Batch, batch
from flowsdk.decorators.card import Card, card
from flowsdk.decorators.catch import Catch, catch
from flowsdk.decorators.environment import Environment, environment
from flowsdk.decorators.exit_hook import ExitHook, exit_hook
from flowsdk.decorators.parallel import Parallel, PytorchParallel, parallel, pytorch_parallel
from flowsdk.decorators.project import Project, project
from flowsdk.decorators.resources import Resources, resources
from flowsdk.decorators.retry import Retry, retry
from flowsdk.decorators.schedule import Schedule, schedule
from flowsdk.decorators.secrets import Secrets, secrets
from flowsdk.decorators.timeout import Timeout, timeout
from flowsdk.decorators.trigger import (
    TriggerDecorator,
    TriggerOnFinishDecorator,
    trigger,
    trigger_on_finish,
)

#: What ``--with`` can name.
STEP_DECORATORS: dict[str, type[StepDecorator]] = {
    kind.name: kind
    for kind in (
        Airflow,
        Batch,
        Card,
        Catch,
        Environment,
        Parallel,
        PytorchParallel,
        Resources,
        Retry,
        Secrets,
        Timeout,
    )
}
#: What a mutator can name.
FLOW_DECORATORS: dict[str, type[FlowDecorator]] = {
    kind.name: kind
    for kind in (
        AirflowDag,
        AirflowExternalTaskSensor,
        AirflowS3KeySensor,
        AirflowSensor,
        ExitHook,
        Project,
        Schedule,
        TriggerDecorator,
        TriggerOnFinishDecorator,
    )
}

__all__ = [
    "FLOW_DECORATORS",
    "STEP_DECORATORS",
    "FlowDecorator",
    "StepDecorator",
    "airflow",
    "airflow_external_task_sensor",
    "airflow_s3_key_sensor",
    "airflow_sensor",
    "batch",
    "card",
    "catch",
    "environment",
    "exit_hook",
    "parallel",
    "parse_spec",
    "project",
    "pytorch_parallel",
    "resources",
    "retry",
    "schedule",
    "secrets",
    "timeout",
    "trigger",
    "trigger_on_finish",
]
