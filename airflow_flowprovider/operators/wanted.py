"""Whether Airflow still wants a task instance that a worker is at work on."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError

#: States of a task whose worker is told to end, but which no user has ended or cleared (that would be
#: "restarting"): those of this try, and of the next, which may have begun already.
_TRIED_AGAIN = {"running", "up_for_retry", "None", "scheduled", "queued", "deferred"}


def is_wanted(ti: Any) -> bool:
    """Whether no user has cleared or ended a task instance that runs here."""
    return _state(ti) in (None, "running")


def is_tried_again(ti: Any) -> bool:
    """Whether only the process of a task instance is to end, and its task has another try.

    As when its worker is shut down, has lost Airflow's API server for long, or was taken for dead.
    """
    if ti.try_number > ti.max_tries:
        return False
    try:
        return _state(ti) in _TRIED_AGAIN
    except AirflowRuntimeError:  # the API server does not answer
        return True


def _state(ti: Any) -> str | None:
    """What Airflow says of a task instance now; None if there is no such any more."""
    states = ti.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
    )
    return next((str(state) for state in states.get(ti.run_id, {}).values()), None)
