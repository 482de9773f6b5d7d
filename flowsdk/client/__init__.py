"""Reading flows, runs, tasks and their artifacts, wherever they ran."""

from __future__ import annotations

from flowsdk.client.artifacts import DataArtifact
from flowsdk.client.runs import Flow, Metaflow, Run, Step
from flowsdk.client.selection import default_metadata, get_metadata, metadata
from flowsdk.client.tasks import Task

__all__ = [
    "DataArtifact",
    "Flow",
    "Metaflow",
    "Run",
    "Step",
    "Task",
    "default_metadata",
    "get_metadata",
    "metadata",
]
