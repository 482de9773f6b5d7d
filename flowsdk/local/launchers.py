"""How a scheduler's tasks are run: as forks of the scheduler itself, or as AWS Batch jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from flowsdk.datastore import FlowDatastore
from flowsdk.flow import FlowSpec
from flowsdk.runtime.logs import LogLine
from flowsdk.runtime.processes import GRACE_SECONDS, TaskProcesses
from flowsdk.runtime.task import run_task
from flowsdk.spec import ErrorInfo, TaskRef, TaskResult, TaskSpec

if TYPE_CHECKING:
    from flowsdk.decorators.settings import StepSettings

OnLines = Callable[[TaskSpec, list[LogLine]], None]


class Launcher(Protocol):
    """Runs tasks and says when they have ended."""

    def __len__(self) -> int:
        """How many tasks are out."""

    def launch(self, specs: Sequence[TaskSpec], settings: StepSettings) -> list[str]:
        """Start a task, or all those of a gang; a name for each that people can look for."""

    def poll(self, timeout: float) -> list[TaskResult]:
        """Wait up to ``timeout`` seconds for news; the results of the tasks that have ended."""

    def cancel(self, tasks: Collection[TaskRef], reason: str) -> None:
        """Ask some of the tasks to end; :meth:`poll` says when they have."""

    def stop(self, reason: str) -> None:
        """End everything that is out and return when it has ended."""


class ForkLauncher:
    """Tasks as forks of this process, which has imported the flow: a task costs milliseconds.

    Args:
        flow: The flow class.
        store: The flow's datastore.
        on_lines: Called with what tasks print.
        max_log_bytes: How much of what a task prints is kept; None for everything.
    """

    def __init__(
        self,
        flow: type[FlowSpec],
        store: FlowDatastore,
        on_lines: OnLines,
        max_log_bytes: int | None = None,
    ) -> None:
        self._flow = flow
        self._store = store
        self._processes = TaskProcesses(on_lines, max_log_bytes=max_log_bytes)

    def __len__(self) -> int:
        return len(self._processes)

    def launch(self, specs: Sequence[TaskSpec], settings: StepSettings) -> list[str]:  # noqa: ARG002
        """Fork each. Resources are not enforced on a laptop."""
        return [self._fork(spec) for spec in specs]

    def _fork(self, spec: TaskSpec) -> str:
        def target(lost: ErrorInfo | None) -> TaskResult:
            # A store of its own: connections must not be shared across the fork.
            return run_task(spec, self._flow, FlowDatastore.at(spec.root, spec.flow), lost)

        return f"pid {self._processes.start(spec, self._store, target)}"

    def poll(self, timeout: float) -> list[TaskResult]:
        """Results of the children that have exited; each is stored."""
        return self._processes.poll(timeout)

    def cancel(self, tasks: Collection[TaskRef], reason: str) -> None:
        """SIGTERM, then SIGKILL for those that do not react."""
        self._processes.stop(reason, tasks)

    def stop(self, reason: str) -> None:
        """SIGTERM, then SIGKILL for those that do not react."""
        self._processes.stop(reason)
        deadline = time.monotonic() + GRACE_SECONDS + 5
        while len(self._processes) and time.monotonic() < deadline:
            self._processes.poll(0.1)
