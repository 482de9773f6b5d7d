"""``Runner``: runs of a flow file, started from Python."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from types import TracebackType
from typing import Any

from flowsdk.runner.commands import FlowCommands
from flowsdk.runner.executing import ExecutingRun, ExecutingTask
from flowsdk.runner.process import POLL_SECONDS, FlowProcess, driven_async

_ATTRIBUTES = "runner_attribute_file"


class Runner:
    """Runs a flow file from Python.

    ``run``, ``resume`` and ``spin`` wait until all is over and never raise because a step failed: the
    object that they return says so. Their ``async_`` twins return as soon as the run has begun.
    Keywords are what the command line knows, with ``_`` for ``-``: parameters of the flow of any
    type, ``tags=["a", "b"]``, ``max_workers=4``, ``decospecs=["batch"]`` for ``--with batch``.

    Whatever runs is ended, and temporary files are deleted, when the context is left, by
    :meth:`cleanup`, by Ctrl-C in a blocking call, and when Python exits::

        with Runner("train.py", show_output=False).run(alpha=0.1) as running:
            print(running.status, running.run.data.score)

    Args:
        flow_file: Relative to the current directory.
        show_output: Show what blocking calls print.
        profile: Set as METAFLOW_PROFILE, for flows that read it; flowsdk has no profiles.
        env: Added to the environment.
        cwd: Where to run; by default the current directory.
        file_read_timeout: How many seconds the run may take to begin.
        options: Options of the command line before the command, such as ``quiet=True``.

    Raises:
        UsageError: There is no such file or directory.
    """

    def __init__(
        self,
        flow_file: str | os.PathLike[str],
        show_output: bool = True,
        profile: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        file_read_timeout: float = 3600,
        **options: Any,
    ) -> None:
        profiled = {"METAFLOW_PROFILE": profile} if profile else {}
        self._commands = FlowCommands(flow_file, {**(env or {}), **profiled}, cwd, options)
        self._show_output = show_output
        self._file_read_timeout = file_read_timeout

    @property
    def flow_file(self) -> str:
        """Absolute path of the flow file."""
        return str(self._commands.flow_file)

    def run(self, **keywords: Any) -> ExecutingRun:
        """Run the flow and wait for its end.

        Args:
            keywords: Parameters of the flow and options of ``run``.

        Raises:
            CommandFailed: It ended before the run began; the message has what it printed, such as
                the names that it does not know, with near misses.
        """
        return ExecutingRun(self._commands, *self._finished("run", keywords))

    def resume(self, **keywords: Any) -> ExecutingRun:
        """Resume a run and wait for its end.

        Args:
            keywords: Options of ``resume``: ``origin_run_id=…``, ``step_to_rerun=…`` …

        Raises:
            CommandFailed: As :meth:`run`.
        """
        return ExecutingRun(self._commands, *self._finished("resume", keywords))

    def spin(self, pathspec: str, **keywords: Any) -> ExecutingTask:
        """Run one task of a past run again, by itself, and wait for its end.

        Args:
            pathspec: ``step``, or the ``run/step/task`` to take the inputs of.
            keywords: Options of ``spin``. Unless ``persist=False`` is among them, what the task
                leaves is kept, so that it can be read.

        Raises:
            CommandFailed: As :meth:`run`.
        """
        chosen = {"pathspec": pathspec, "persist": True, **keywords}
        return ExecutingTask(self._commands, *self._finished("spin", chosen))

    async def async_run(self, **keywords: Any) -> ExecutingRun:
        """Start a run; returns when it has begun. As :meth:`run` otherwise."""
        return ExecutingRun(self._commands, *await self._begun("run", keywords))

    async def async_resume(self, **keywords: Any) -> ExecutingRun:
        """Start to resume a run; returns when it has begun. As :meth:`resume` otherwise."""
        return ExecutingRun(self._commands, *await self._begun("resume", keywords))

    async def async_spin(self, pathspec: str, **keywords: Any) -> ExecutingTask:
        """Start a task; returns when it has begun. As :meth:`spin` otherwise."""
        chosen = {"pathspec": pathspec, "persist": True, **keywords}
        return ExecutingTask(self._commands, *await self._begun("spin", chosen))

    def cleanup(self) -> None:
        """End what runs, and delete all temporary files."""
        self._commands.cleanup()

    def _finished(
        self, command: str, keywords: Mapping[str, Any]
    ) -> tuple[FlowProcess, dict[str, Any]]:
        process = self._commands.start([command], keywords, _ATTRIBUTES)
        try:
            if not self._show_output:
                attributes = process.wait_for_attributes(self._file_read_timeout)
                process.wait()
                return process, attributes
            with process.echo() as echo:
                attributes = process.wait_for_attributes(self._file_read_timeout, echo)
                process.wait(echo)
                return process, attributes
        except BaseException:
            # Ctrl-C: the process leads a session of its own, so the terminal has not told it.
            process.stop()
            raise

    async def _begun(
        self, command: str, keywords: Mapping[str, Any]
    ) -> tuple[FlowProcess, dict[str, Any]]:
        process = self._commands.start([command], keywords, _ATTRIBUTES)
        try:
            attributes = await process.wait_for_attributes_async(self._file_read_timeout)
            await driven_async(_until_recorded(process, attributes))
        except BaseException:
            process.stop()
            raise
        return process, attributes

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cleanup()

    async def __aenter__(self) -> Runner:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._commands.cleanup_async()


def _until_recorded(
    process: FlowProcess, attributes: Mapping[str, Any]
) -> Generator[float, None, None]:
    """Wait until the client finds the run: its id is known a moment earlier."""
    from flowsdk.client.selection import provider_of

    provider = provider_of(attributes["metadata"])
    flow, run = attributes["flow_name"], attributes["run_id"]
    while process.returncode is None and provider.run(flow, run) is None:
        yield POLL_SECONDS
