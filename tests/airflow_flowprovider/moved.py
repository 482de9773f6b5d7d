"""What tests alone want of Airflow, wherever its version has it."""

from __future__ import annotations

try:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.exceptions import ParamValidationError, TaskDeferred
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # Airflow 3.1
    from airflow.exceptions import ParamValidationError, TaskDeferred
    from airflow.models.dagbag import DagBag
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

__all__ = ["DagBag", "DagSerialization", "ParamValidationError", "TaskDeferred"]
