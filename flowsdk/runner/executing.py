"""What ``Runner`` returns: a run, or a task, that is executing or has been executed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from flowsdk.exception import UsageError
from flowsdk.runner.commands import FlowCommands
from flowsdk.runner.process import FlowProcess

if TYPE_CHECKING:
    from flowsdk.client import Run, Task
    from flowsdk.client.objects import View

Status = Literal["running", "successful", "failed", "timeout"]
Self = TypeVar("Self", bound="ExecutingProcess")


class ExecutingProcess:
    """The process of a command that ``Runner`` has started.

    As a context manager, plain or asynchronous, it ends the process and deletes its temporary files
    when the block is left. What it has printed can still be read after that.

    Args:
        commands: Whose process it is.
        process: The process.
        attributes: What it said of what it has started.
    """

    def __init__(
        self, commands: FlowCommands, process: FlowProcess, attributes: dict[str, Any]
    ) -> None:
        self._commands = commands
        self._process = process
        self._attributes = attributes

    @property
    def returncode(self) -> int | None:
        """Exit code: 0 if all went well; None while it runs; negative if a signal ended it."""
        return self._process.returncode

    @property
    def status(self) -> Status:
        """``running``, ``successful``, ``failed``, or ``timeout`` if :meth:`wait` ended it."""
        if self._process.timed_out:
            return "timeout"
        if self.returncode is None:
            return "running"
        return "successful" if self.returncode == 0 else "failed"

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._process.output("stdout")

    @property
    def stderr(self) -> str:
        """What it has printed so far on its error stream."""
        return self._process.output("stderr")

    async def wait(self: Self, timeout: float | None = None, stream: str | None = None) -> Self:
        """Wait until it has ended.

        Args:
            timeout: In seconds; the process is ended then, and ``status`` is ``timeout``.
            stream: ``stdout`` or ``stderr``: show this meanwhile.

        Returns:
            This object.
        """
        if stream is None:
            await self._process.wait_async(timeout, None)
            return self
        if stream not in ("stdout", "stderr"):
            raise UsageError(f"Stream: found {stream!r}, expected 'stdout' or 'stderr'.")
        with self._process.echo().only(stream) as echo:
            await self._process.wait_async(timeout, echo)
        return self

    async def stream_log(
        self, stream: str, position: int | None = None
    ) -> AsyncIterator[tuple[int, str]]:
        """The lines that it prints, as they come, until it ends.

        Args:
            stream: ``stdout`` or ``stderr``.
            position: Where to go on: a position that came with an earlier line.

        Yields:
            ``(position, line)``; lines without their ends.
        """
        async for place, line in self._process.lines(stream, position or 0):
            yield place, line

    def _view(self) -> View:
        """Asks where the process has put its results, whatever the caller's metadata is."""
        from flowsdk.client.objects import View
        from flowsdk.client.selection import provider_of

        return View(provider_of(self._attributes["metadata"]))

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._commands.cleanup()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._commands.cleanup_async()


class ExecutingRun(ExecutingProcess):
    """A run that ``Runner.run`` or ``Runner.resume`` has started."""

    @property
    def run(self) -> Run:
        """The run, for reading its state and its results."""
        from flowsdk.client import Run

        parts = (self._attributes["flow_name"], self._attributes["run_id"])
        return Run._at(parts, self._view())

    def __repr__(self) -> str:
        flow, run = self._attributes["flow_name"], self._attributes["run_id"]
        return f"ExecutingRun('{flow}/{run}', {self.status})"


class ExecutingTask(ExecutingProcess):
    """A task that ``Runner.spin`` has started."""

    @property
    def task(self) -> Task:
        """The task, for reading its state and its results."""
        from flowsdk.client import Task

        names = ("flow_name", "run_id", "step_name", "task_id")
        return Task._at(tuple(self._attributes[name] for name in names), self._view())

    def __repr__(self) -> str:
        step, task = self._attributes["step_name"], self._attributes["task_id"]
        return f"ExecutingTask({step}/{task}, {self.status})"
