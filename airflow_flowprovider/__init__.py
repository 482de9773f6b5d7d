"""Flows as Airflow DAGs whose steps run on AWS Batch.

Airflow imports this module in every one of its processes to ask for :func:`get_provider_info`, so it
imports nothing; public names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowsdk.version import VERSION

if TYPE_CHECKING:
    from airflow_flowprovider.compiler import flow_dag
    from airflow_flowprovider.operators.step import FlowStepOperator
    from airflow_flowprovider.taskgroup import FlowTaskGroup

__version__ = VERSION
__all__ = ["FlowStepOperator", "FlowTaskGroup", "__version__", "flow_dag", "get_provider_info"]

_HOME = {
    "FlowStepOperator": "airflow_flowprovider.operators.step",
    "FlowTaskGroup": "airflow_flowprovider.taskgroup",
    "flow_dag": "airflow_flowprovider.compiler",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'airflow_flowprovider' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def get_provider_info() -> dict[str, Any]:
    """What Airflow shows and loads of this provider; its shape is Airflow's provider_info schema."""
    from airflow_flowprovider.config import CONFIG_OPTIONS, CONNECTION_TYPE, SECTION

    integration = "AWS Batch flows"
    return {
        "package-name": "airflow-flowprovider",
        "name": "Flows",
        "description": "Flows as DAGs whose steps run on AWS Batch.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://docs.aws.amazon.com/batch/",
                "tags": ["aws"],
            }
        ],
        "operators": _modules(integration, "airflow_flowprovider.operators.step"),
        "hooks": _modules(
            integration, "airflow_flowprovider.hooks.batch", "airflow_flowprovider.hooks.datastore"
        ),
        "triggers": _modules(integration, "airflow_flowprovider.triggers.batch"),
        "extra-links": [
            "airflow_flowprovider.links.BatchJobLink",
            "airflow_flowprovider.links.CloudWatchLogLink",
        ],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": "airflow_flowprovider.hooks.datastore.FlowDatastoreHook",
                "hook-name": "Flow datastore",
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "schema", "port"],
                    "relabeling": {
                        "login": "AWS access key id",
                        "password": "AWS secret access key",
                    },
                    "placeholders": {
                        "login": "empty for the environment's credentials",
                        "password": "empty for the environment's credentials",
                        "extra": '{"role_arn": "arn:aws:iam::123456789012:role/flows"}',
                    },
                },
                "conn-fields": {
                    "datastore": _text_field("Datastore", "s3://bucket/prefix"),
                    "region_name": _text_field("AWS region", "eu-central-1"),
                    "endpoint_url": _text_field("AWS endpoint", "empty for AWS itself"),
                },
            }
        ],
        "config": {
            SECTION: {
                "description": "How flows run as DAGs on AWS Batch.",
                "options": CONFIG_OPTIONS,
            }
        },
    }


def _modules(integration: str, *modules: str) -> list[dict[str, Any]]:
    return [{"integration-name": integration, "python-modules": list(modules)}]


def _text_field(label: str, hint: str) -> dict[str, Any]:
    return {"label": label, "description": hint, "schema": {"type": ["string", "null"]}}
