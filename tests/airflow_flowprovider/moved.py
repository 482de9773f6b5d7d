"""What tests alone want of Airflow, wherever its version has it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

try:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.sdk.exceptions import ParamValidationError, TaskDeferred
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # Airflow 3.1
    from airflow.exceptions import ParamValidationError, TaskDeferred
    from airflow.models.dagbag import DagBag, sync_bag_to_db
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

__all__ = [
    "AIRFLOW",
    "DagBag",
    "DagSerialization",
    "ParamValidationError",
    "TaskDeferred",
    "cron",
    "sync_bag_to_db",
]

#: Major and minor version.
AIRFLOW = tuple(int(part) for part in version("apache-airflow").split(".")[:2])


def cron(timetable: Any) -> str:
    """The expression of a cron timetable, of the Task SDK or of Airflow before it had some."""
    return str(getattr(timetable, "expression", None) or timetable._expression)
