"""``TriggeredRun``: a run of a flow in Airflow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowsdk.deployer.server import AirflowServer
from flowsdk.exception import UsageError, did_you_mean

if TYPE_CHECKING:
    from flowsdk.client import Run

#: Airflow's states of runs in the words of Metaflow's deployers.
STATUS = {"queued": "PENDING", "running": "RUNNING", "success": "SUCCEEDED", "failed": "FAILED"}
_ENDED = ("SUCCEEDED", "FAILED")


class TriggeredRun:
    """A run of a deployed flow.

    Args:
        name: Of the DAG.
        run_id: Of the run.
        server: The Airflow.
        known: What Airflow has just said of it.
    """

    def __init__(
        self,
        name: str,
        run_id: str,
        server: AirflowServer,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.run_id = run_id
        self._server = server
        #: Airflow's words for the run, as they were when it was listed.
        self.listed: Mapping[str, Any] = known or {}

    @property
    def pathspec(self) -> str:
        """``flow/run``, as the client takes it."""
        return f"{self.name}/{self.run_id}"

    @property
    def metadata(self) -> str:
        """What ``metadata()`` of the client takes to read the run."""
        return self._server.metadata

    @property
    def status(self) -> str:
        """``PENDING``, ``RUNNING``, ``SUCCEEDED`` or ``FAILED``, as of now."""
        return status_of(self._server.require_run(self.name, self.run_id))

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.status not in _ENDED

    @property
    def run(self) -> Run | None:
        """The run, for reading its state and its results; None until it has been started."""
        if self.status == "PENDING":
            return None
        from flowsdk.client import Run
        from flowsdk.client.objects import View
        from flowsdk.client.selection import provider_of

        return Run._at((self.name, self.run_id), View(provider_of(self.metadata)))

    def wait_for_run(self, check_interval: float = 1, timeout: float | None = None) -> Run:
        """Wait until the run has been started.

        Args:
            check_interval: Seconds between looks.
            timeout: In seconds; by default for ever.

        Returns:
            The run.

        Raises:
            TimeoutError: The time is over.
        """
        for _ in self._looks("start", check_interval, timeout):
            if run := self.run:
                return run
        raise AssertionError("unreachable: the looks end with an error")

    def wait_for_completion(self, check_interval: float = 1, timeout: float | None = None) -> str:
        """Wait until the run has ended, well or not.

        Args:
            check_interval: Seconds between looks.
            timeout: In seconds; by default for ever.

        Returns:
            ``SUCCEEDED`` or ``FAILED``.

        Raises:
            TimeoutError: The time is over. The run goes on.
        """
        for _ in self._looks("end", check_interval, timeout):
            if (status := self.status) in _ENDED:
                return status
        raise AssertionError("unreachable: the looks end with an error")

    def terminate(self) -> bool:
        """Mark the run failed: its tasks end, and their jobs with them.

        Returns:
            Whether it had not ended already.
        """
        if self.status in _ENDED:
            return False
        self._server.fail(self.name, self.run_id)
        return True

    def _looks(self, what: str, every: float, timeout: float | None) -> Iterator[None]:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            yield
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(
                    f"Run {self.pathspec}: found it {self.status}, expected it to {what} within "
                    f"{timeout:g} s. It goes on in Airflow."
                )
            time.sleep(every)

    def __repr__(self) -> str:
        return f"TriggeredRun({self.pathspec!r})"


def status_of(run: Mapping[str, Any]) -> str:
    """The status of a run of Airflow's."""
    state = str(run["state"])
    return STATUS.get(state, state.upper())


def airflow_states(statuses: Sequence[str]) -> list[str]:
    """Airflow's names of statuses.

    Raises:
        UsageError: There is no such status.
    """
    names = {status: state for state, status in STATUS.items()}
    unknown = [status for status in statuses if status.upper() not in names]
    if unknown:
        raise UsageError(
            f"Status: found {', '.join(map(repr, unknown))}, expected {', '.join(names)}."
            f"{did_you_mean(unknown[0].upper(), names)}"
        )
    return [names[status.upper()] for status in statuses]
