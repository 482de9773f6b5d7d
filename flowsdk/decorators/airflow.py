"""``@airflow``: what only Airflow knows of a step or of a flow."""

from __future__ import annotations

from typing import Any

from flowsdk.decorators.base import FlowDecorator, StepDecorator


class Airflow(StepDecorator):
    """Arguments of a step's task in Airflow. Without effect elsewhere.

    Args:
        attributes: Those of Airflow's ``BaseOperator``, such as ``pool`` or ``priority_weight``; that
            there are such is checked where the flow becomes a DAG. What Airflow takes as an object –
            a callback, ``executor_config`` – may be the dotted name of one, so that the flow file
            need not import what jobs do not have.
    """

    name = "airflow"
    any_attribute = True


class AirflowDag(FlowDecorator):
    """Arguments of a flow's DAG in Airflow. Without effect elsewhere.

    Args:
        attributes: Those of Airflow's ``DAG``, such as ``max_active_runs`` or ``dagrun_timeout``, and
            those that only tasks have, such as ``pool``, for all steps of the flow. Dotted names as
            with a step's.
    """

    name = "airflow"
    any_attribute = True


def airflow(target: Any = None, /, **attributes: Any) -> Any:
    """Arguments for Airflow's task of a step, or for its DAG of a flow.

    Args:
        target: The step or the flow class, where ``@airflow`` has no brackets.
        attributes: Of :class:`Airflow` on a step, of :class:`AirflowDag` on a flow class.

    Raises:
        DecoratorError: It is on something else, or there twice.
    """
    on_step, on_flow = Airflow(**attributes), AirflowDag(**attributes)

    def attach(decorated: Any) -> Any:
        return (on_flow if isinstance(decorated, type) else on_step).attach(decorated)

    return attach if target is None else attach(target)
