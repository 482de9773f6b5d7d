"""Names of splits in Airflow's UI, where a mapped task otherwise shows a bare index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_flowprovider.compat import label_message
from flowsdk.succession import Planned

#: Context variable that ``map_index_template`` renders: ``{{ flow_split_label }}``.
LABEL_VARIABLE = "flow_split_label"
#: Of Airflow's column.
_MAX_CHARACTERS = 250


def label_of(tasks: Sequence[Planned]) -> str:
    """A name for some of the splits of an outermost foreach, by the first and the last of them."""
    labels = list(dict.fromkeys(task.foreach[0].label for task in tasks if task.foreach))
    return " … ".join([*labels[:1], *labels[1:][-1:]])


def set_label(context: Any, label: str) -> None:
    """Give the task at hand a name, from now on.

    Airflow renders ``map_index_template`` when a task begins, where the label is not known yet, and
    when it ends, but not when it defers: a label set only in the context would appear when the split
    is over. So it is sent as Airflow itself sends it.
    """
    context[LABEL_VARIABLE] = label[:_MAX_CHARACTERS]
    if label:
        _send(context["ti"], label[:_MAX_CHARACTERS])


def _send(ti: Any, label: str) -> None:
    from airflow.sdk.execution_time import task_runner

    message = label_message(label)
    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if message is not None and supervisor is not None and ti.task.map_index_template:
        ti.rendered_map_index = label
        supervisor.send(msg=message)
