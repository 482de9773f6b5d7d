"""What differs between the versions of Airflow; nothing else here asks which one runs.

Names that have moved are imported from here. What a version lacks is asked for by what is there, not
by the version's number.
"""

from __future__ import annotations

try:
    from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:  # Airflow 3.1: not yet in the Task SDK
    from airflow.exceptions import AirflowFailException, AirflowSkipException
    from airflow.timetables.assets import AssetOrTimeSchedule
    from airflow.timetables.trigger import CronTriggerTimetable

__all__ = [
    "AirflowFailException",
    "AirflowSkipException",
    "AssetOrTimeSchedule",
    "CronTriggerTimetable",
    "has_listeners",
    "triggers_push_xcoms",
]


def has_listeners() -> bool:
    """Whether plugins listen to what becomes of task instances."""
    try:
        from airflow.sdk.listener import get_listener_manager
    except ImportError:  # before the Task SDK had its own
        from airflow.listeners.listener import get_listener_manager
    return bool(get_listener_manager().has_listeners)


def triggers_push_xcoms() -> bool:
    """Whether a trigger can leave XComs as a worker does.

    Those of ``TaskSuccessEvent`` are no substitute: Airflow 3.3 stores them as JSON in JSON, so that
    tasks pull texts.
    """
    from airflow.sdk.execution_time.xcom import XCom

    return hasattr(XCom, "aset")
