"""Reading flows, runs, tasks and their artifacts, wherever they ran."""

from __future__ import annotations

from flowsdk.client.artifacts import DataArtifact, MetaflowData
from flowsdk.client.code import MetaflowCode
from flowsdk.client.flows import Flow, Metaflow
from flowsdk.client.namespaces import default_namespace, get_namespace, namespace
from flowsdk.client.runs import Run, Step
from flowsdk.client.selection import default_metadata, get_metadata, metadata
from flowsdk.client.tasks import Task
from flowsdk.exception import (
    MetaflowInvalidPathspec,
    MetaflowNamespaceMismatch,
    MetaflowNotFound,
)

__all__ = [
    "DataArtifact",
    "Flow",
    "Metaflow",
    "MetaflowCode",
    "MetaflowData",
    "MetaflowInvalidPathspec",
    "MetaflowNamespaceMismatch",
    "MetaflowNotFound",
    "Run",
    "Step",
    "Task",
    "default_metadata",
    "default_namespace",
    "get_metadata",
    "get_namespace",
    "metadata",
    "namespace",
]
