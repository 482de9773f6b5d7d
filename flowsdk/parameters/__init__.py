"""Parameters of a flow: declared as class attributes, given on the command line or by Airflow."""

from __future__ import annotations

from flowsdk.parameters.context import ParameterContext
from flowsdk.parameters.declaration import (
    RESERVED_PARAMETERS,
    JSONType,
    JSONTypeClass,
    Parameter,
    collect_parameters,
)
from flowsdk.parameters.schema import json_schema
from flowsdk.parameters.values import convert, resolve_parameters

__all__ = [
    "RESERVED_PARAMETERS",
    "JSONType",
    "JSONTypeClass",
    "Parameter",
    "ParameterContext",
    "collect_parameters",
    "convert",
    "json_schema",
    "resolve_parameters",
]
