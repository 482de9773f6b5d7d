"""Ending the jobs of a task instance that ends without them, and never turning green what is not wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_flowprovider.compat import TaskDeferred
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.exception import BatchError, Interrupted

#: States of a task whose worker is told to end, but which no user has ended or cleared (that would be
#: "restarting"): those of this try, and of the next, which may have begun already.
_TRIED_AGAIN = {"running", "up_for_retry", "None", "scheduled", "queued", "deferred"}


class JobGuard:
    """Decides what becomes of the jobs of a task instance when its worker's process ends.

    How it works:
        Another try takes up what is left of the jobs. Where none comes, because a user has cleared or
        ended the task or this was the last try, they are terminated.

    Args:
        jobs: Gives AWS Batch.
        log: Of the task instance.

    Attributes:
        job_ids: The jobs that are at work.
    """

    def __init__(self, jobs: Callable[[], BatchJobs], log: Any) -> None:
        self._jobs = jobs
        self._log = log
        self._killed = False
        self._at_work = False
        self.job_ids: Sequence[str] = ()

    @contextmanager
    def over(self, ti: Any) -> Iterator[None]:
        """Guard the work of a task instance: within, it either comes to its end or raises."""
        self._at_work = True
        try:
            yield
            self.check()
        except BaseException as error:  # a deferral is one, and so is an execution_timeout
            if self._killed or not (isinstance(error, TaskDeferred) or _has_another_try(ti)):
                self._let_go(ti)
            raise
        finally:
            self._at_work = False

    def kill(self) -> None:
        """Take note that Airflow wants the process to end.

        That comes in the middle of whatever the work is doing, which afterwards simply goes on:
        :meth:`check` makes it raise. A task whose execution has timed out has left the work already.
        """
        self._killed = True
        if not self._at_work:
            self._terminate()

    def check(self) -> None:
        """Raise if Airflow wants the process to end."""
        if self._killed:
            raise Interrupted(
                f"Airflow asked for the end of this process: its task was cleared or marked, or its "
                f"worker is shutting down. Its Batch jobs: {', '.join(self.job_ids) or '(none)'}."
            )

    def check_wanted(self, ti: Any) -> None:
        """Raise if a user has cleared or marked the task a moment ago.

        Its worker learns that at the next heartbeat, by SIGTERM. A task that defers before would
        leave a job behind that nobody waits for: Airflow refuses the deferral without telling it.
        """
        self._killed |= _state(ti) not in (None, "running")
        self.check()

    def _let_go(self, ti: Any) -> None:
        if _is_tried_again(ti):
            self._log.info("The next try takes up what is left of the jobs")
        else:
            self._terminate()

    def _terminate(self) -> None:
        for job_id in self.job_ids:
            try:
                self._jobs().terminate(job_id, "Airflow ended the task")
            except BatchError as error:
                self._log.warning("Batch job %s may go on, terminate it by hand: %s", job_id, error)


def _has_another_try(ti: Any) -> bool:
    return bool(ti.try_number <= ti.max_tries)


def _is_tried_again(ti: Any) -> bool:
    """Whether only the process of a task instance is to end, and its task has another try.

    As when its worker is shut down, has lost Airflow's API server for long, or was taken for dead.
    """
    if not _has_another_try(ti):
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
