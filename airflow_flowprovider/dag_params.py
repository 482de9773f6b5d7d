"""A flow's parameters as the ``Param``s of its DAG: Airflow's trigger form and its checks."""

from __future__ import annotations

from airflow.sdk import Param

from flowsdk.parameters import Parameter, collect_parameters, convert, json_schema


def dag_params(flow: type) -> dict[str, Param]:
    """The ``Param`` of each parameter of a flow, by name.

    Raises:
        ParameterError: Parameters are malformed, or their defaults do not fit them.
    """
    return {name: _param(parameter) for name, parameter in collect_parameters(flow).items()}


def is_missing(parameter: Parameter) -> bool:
    """Whether a run without a value for the parameter cannot start."""
    return parameter.required and parameter.default is None


def _param(parameter: Parameter) -> Param:
    schema = json_schema(parameter)
    if is_missing(parameter):
        return Param(**schema)
    # A default that is a function is called when a run starts, in the operator of the start step.
    default = None if callable(parameter.default) else parameter.default
    return Param(None if default is None else convert(parameter, default), **schema)
