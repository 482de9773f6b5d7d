"""A flow's parameters as the ``Param``s of its DAG: Airflow's trigger form and its checks."""

from __future__ import annotations

from collections.abc import Collection

from airflow.sdk import Param

from flowsdk.parameters import Parameter, collect_parameters, convert, json_schema


def dag_params(flow: type, from_events: Collection[str] = ()) -> dict[str, Param]:
    """The ``Param`` of each parameter of a flow, by name.

    Args:
        flow: The flow class.
        from_events: Parameters that the events give which the flow waits for.

    Raises:
        ParameterError: Parameters are malformed, or their defaults do not fit them.
    """
    return {
        name: _param(parameter, name in from_events)
        for name, parameter in collect_parameters(flow).items()
    }


def is_missing(parameter: Parameter) -> bool:
    """Whether a run without a value for the parameter cannot start."""
    return bool(parameter.required) and parameter.default is None


def _param(parameter: Parameter, from_event: bool) -> Param:
    if is_missing(parameter):
        # Airflow lets no DAG with a schedule have a Param without a value; the run asks for one.
        if from_event:
            return Param(None, **json_schema(parameter, nullable=True))
        return Param(**json_schema(parameter))
    # A default that is a function is called when a run starts, in the operator of the start step.
    default = None if callable(parameter.default) else parameter.default
    schema = json_schema(parameter)
    return Param(None if default is None else convert(parameter, default), **schema)
