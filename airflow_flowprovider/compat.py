"""What differs between the versions of Airflow; nothing else here asks which one runs.

Names that have moved are imported from here. What a version lacks is asked for by what is there, not
by the version's number.
"""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

try:
    from airflow.sdk import (
        AssetOrTimeSchedule,
        CronDataIntervalTimetable,
        CronTriggerTimetable,
    )
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
except ImportError:  # Airflow 3.1: not yet in the Task SDK
    from airflow.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
    from airflow.timetables.assets import AssetOrTimeSchedule
    from airflow.timetables.interval import CronDataIntervalTimetable
    from airflow.timetables.trigger import CronTriggerTimetable

__all__ = [
    "AirflowFailException",
    "AirflowSkipException",
    "AssetOrTimeSchedule",
    "CronDataIntervalTimetable",
    "CronTriggerTimetable",
    "TaskDeferred",
    "group_docs",
    "has_listeners",
    "label_message",
    "retry_policy",
    "triggers_hear_of_kills",
    "triggers_push_xcoms",
]


def group_docs(text: str | None) -> dict[str, str | None]:
    """The argument of a task group that shows a text with it; none before Airflow 3.3."""
    from airflow.sdk import TaskGroup

    return {"doc_md": text} if "doc_md" in inspect.signature(TaskGroup).parameters else {}


def has_listeners() -> bool:
    """Whether plugins listen to what becomes of task instances."""
    try:
        from airflow.sdk.listener import get_listener_manager
    except ImportError:  # before the Task SDK had its own
        from airflow.listeners.listener import get_listener_manager
    return bool(get_listener_manager().has_listeners)


def label_message(label: str) -> Any:
    """What tells the supervisor a mapped task's name before its end; None where it cannot hear it."""
    try:
        from airflow.sdk.execution_time.comms import SetRenderedMapIndex
    except ImportError:  # before Airflow 3.2
        return None
    return SetRenderedMapIndex(rendered_map_index=label)


def triggers_hear_of_kills() -> bool:
    """Whether ``on_kill`` of a trigger is called when its task is cleared or marked: from 3.3 on.

    Before, a cleared task ends its earlier jobs when it is launched anew, and a job whose task was
    marked runs to its end.
    """
    from airflow.triggers.base import BaseTrigger

    return hasattr(BaseTrigger, "on_kill")


def triggers_push_xcoms() -> bool:
    """Whether a trigger can leave XComs as a worker does.

    Those of ``TaskSuccessEvent`` are no substitute: Airflow 3.3 stores them as JSON in JSON, so that
    tasks pull texts.
    """
    from airflow.sdk.execution_time.xcom import XCom

    return hasattr(XCom, "aset")


def retry_policy(users: timedelta, platforms: timedelta) -> dict[str, Any]:
    """Arguments of an operator whose tries wait by who has to act; none before Airflow 3.3.

    Args:
        users: How long after the step's code has failed.
        platforms: How long after anything else has.
    """
    import airflow.sdk

    if "RetryPolicy" not in airflow.sdk.__all__:
        return {}
    from airflow_flowprovider.retry import DelayByKind

    return {"retry_policy": DelayByKind(users, platforms)}
