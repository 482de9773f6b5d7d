"""Flows: data science in steps that run on a laptop, on AWS Batch and under Airflow.

Importing this package imports nothing else: public names are loaded when they are first used
(PEP 562), because every command line, every job and every DAG file pays for the import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowsdk.version import VERSION as __version__

_HOME = {
    "FlowSpec": "flowsdk.flow",
    "step": "flowsdk.steps",
    "Parameter": "flowsdk.parameters",
    "JSONType": "flowsdk.parameters",
    "JSONTypeClass": "flowsdk.parameters",
    "IncludeFile": "flowsdk.include_file",
    "Config": "flowsdk.configs.config",
    "ConfigValue": "flowsdk.configs.value",
    "config_expr": "flowsdk.configs.expression",
    "yaml_parser": "flowsdk.configs.parsers",
    "requirements_txt_parser": "flowsdk.configs.parsers",
    "pyproject_toml_parser": "flowsdk.configs.parsers",
    "conda_environment_yml_parser": "flowsdk.configs.parsers",
    "current": "flowsdk.current_task",
    "airflow": "flowsdk.decorators.airflow",
    "airflow_external_task_sensor": "flowsdk.decorators.airflow_sensors",
    "airflow_s3_key_sensor": "flowsdk.decorators.airflow_sensors",
    "airflow_sensor": "flowsdk.decorators.airflow_sensors",
    "batch": "flowsdk.decorators.batch",
    "resources": "flowsdk.decorators.resources",
    "retry": "flowsdk.decorators.retry",
    "timeout": "flowsdk.decorators.timeout",
    "environment": "flowsdk.decorators.environment",
    "card": "flowsdk.decorators.card",
    "catch": "flowsdk.decorators.catch",
    "parallel": "flowsdk.decorators.parallel",
    "pytorch_parallel": "flowsdk.decorators.parallel",
    "exit_hook": "flowsdk.decorators.exit_hook",
    "user_step_decorator": "flowsdk.decorators.user.wrappers",
    "UserStepDecorator": "flowsdk.decorators.user.wrappers",
    "USER_SKIP_STEP": "flowsdk.decorators.user.wrappers",
    "StepMutator": "flowsdk.decorators.user.mutators",
    "FlowMutator": "flowsdk.decorators.user.mutators",
    "MutableStep": "flowsdk.decorators.user.mutable",
    "MutableFlow": "flowsdk.decorators.user.mutable",
    "parallel_map": "flowsdk.multicore",
    "parallel_imap_unordered": "flowsdk.multicore",
    "profile": "flowsdk.profiling",
    "schedule": "flowsdk.decorators.schedule",
    "S3": "flowsdk.s3.client",
    "Serializer": "flowsdk.artifacts.reducers",
    "secrets": "flowsdk.decorators.secrets",
    "project": "flowsdk.decorators.project",
    "trigger": "flowsdk.decorators.trigger",
    "trigger_on_finish": "flowsdk.decorators.trigger",
    "namespaced_event_name": "flowsdk.events",
    "Metaflow": "flowsdk.client",
    "Flow": "flowsdk.client",
    "Run": "flowsdk.client",
    "Step": "flowsdk.client",
    "Task": "flowsdk.client",
    "DataArtifact": "flowsdk.client",
    "metadata": "flowsdk.client",
    "get_metadata": "flowsdk.client",
    "default_metadata": "flowsdk.client",
    "inspect_spin": "flowsdk.local.spin",
    "namespace": "flowsdk.client.namespaces",
    "get_namespace": "flowsdk.client.namespaces",
    "default_namespace": "flowsdk.client.namespaces",
    "Runner": "flowsdk.runner.flow_runner",
    "NBRunner": "flowsdk.runner.notebook",
    "Deployer": "flowsdk.deployer.flow_deployer",
    "DeployedFlow": "flowsdk.deployer.deployed",
    "NBDeployer": "flowsdk.deployer.flow_deployer",
}

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from flowsdk.artifacts.reducers import Serializer
    from flowsdk.client import (
        DataArtifact,
        Flow,
        Metaflow,
        Run,
        Step,
        Task,
        default_metadata,
        get_metadata,
    )
    from flowsdk.client.namespaces import default_namespace, get_namespace, namespace
    from flowsdk.client.selection import metadata
    from flowsdk.configs.config import Config
    from flowsdk.configs.expression import config_expr
    from flowsdk.configs.parsers import (
        conda_environment_yml_parser,
        pyproject_toml_parser,
        requirements_txt_parser,
        yaml_parser,
    )
    from flowsdk.configs.value import ConfigValue
    from flowsdk.current_task import current
    from flowsdk.decorators.airflow import airflow
    from flowsdk.decorators.airflow_sensors import (
        airflow_external_task_sensor,
        airflow_s3_key_sensor,
        airflow_sensor,
    )
    from flowsdk.decorators.batch import batch
    from flowsdk.decorators.card import card
    from flowsdk.decorators.catch import catch
    from flowsdk.decorators.environment import environment
    from flowsdk.decorators.exit_hook import exit_hook
    from flowsdk.decorators.parallel import parallel, pytorch_parallel
    from flowsdk.decorators.project import project
    from flowsdk.decorators.resources import resources
    from flowsdk.decorators.retry import retry
    from flowsdk.decorators.schedule import schedule
    from flowsdk.decorators.secrets import secrets
    from flowsdk.decorators.timeout import timeout
    from flowsdk.decorators.trigger import trigger, trigger_on_finish
    from flowsdk.decorators.user.mutable import MutableFlow, MutableStep
    from flowsdk.decorators.user.mutators import FlowMutator, StepMutator
    from flowsdk.decorators.user.wrappers import (
        USER_SKIP_STEP,
        UserStepDecorator,
        user_step_decorator,
    )
    from flowsdk.deployer.deployed import DeployedFlow
    from flowsdk.deployer.flow_deployer import Deployer, NBDeployer
    from flowsdk.events import namespaced_event_name
    from flowsdk.flow import FlowSpec
    from flowsdk.include_file import IncludeFile
    from flowsdk.local.spin import inspect_spin
    from flowsdk.parameters import JSONType, JSONTypeClass, Parameter
    from flowsdk.runner.flow_runner import Runner
    from flowsdk.runner.notebook import NBRunner
    from flowsdk.s3.client import S3
    from flowsdk.steps import step


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'flowsdk' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
