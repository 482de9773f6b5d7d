"""``NBRunner``: runs of a flow that is defined in the cell of a notebook."""

from __future__ import annotations

import ast
import linecache
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from flowsdk.exception import UsageError
from flowsdk.flow import FlowSpec
from flowsdk.runner.executing import ExecutingRun
from flowsdk.runner.flow_runner import Runner

if TYPE_CHECKING:
    from flowsdk.client import Run

#: What a flow's own file must not execute: it would start itself.
_STARTING = {"NBRunner", "NBDeployer"}
#: What magics have become by the time that a cell is compiled.
_MAGIC = "get_ipython"


class NBRunner:
    """Runs a flow that is defined in a notebook, from the same cell or a later one.

    The cell that defines the flow must be complete: its imports belong into it. It may end with the
    line that runs it::

        NBRunner(TrainFlow).nbrun(alpha=0.1).data.score

    How it works:
        The cell is written into a temporary flow file, up to its first statement that mentions
        ``NBRunner``, and run as any flow file. It works in a plain module, too.

    Args:
        flow: The flow class.
        show_output: As of ``Runner``.
        profile: As of ``Runner``.
        env: As of ``Runner``.
        base_dir: Where the file is written and run, and modules are imported from; by default the
            current directory.
        file_read_timeout: As of ``Runner``.
        options: As of ``Runner``.

    Raises:
        UsageError: The flow has no source, or this is the process of the flow itself.
    """

    def __init__(
        self,
        flow: type[FlowSpec],
        show_output: bool = True,
        profile: str | None = None,
        env: Mapping[str, str] | None = None,
        base_dir: str | os.PathLike[str] | None = None,
        file_read_timeout: float = 3600,
        **options: Any,
    ) -> None:
        self._cell = NotebookFile(flow, base_dir)
        self._make: Callable[[Path], Runner] = partial(
            Runner,
            show_output=show_output,
            profile=profile,
            env=env,
            cwd=self._cell.folder,
            file_read_timeout=file_read_timeout,
            **options,
        )
        self._runner: Runner | None = None

    def nbrun(self, **keywords: Any) -> Run:
        """Run the flow and wait for its end; as ``Runner.run``, but the run itself is returned."""
        try:
            return self._begun().run(**keywords).run
        finally:
            self.cleanup()

    def nbresume(self, **keywords: Any) -> Run:
        """Resume a run and wait for its end; the new run is returned."""
        try:
            return self._begun().resume(**keywords).run
        finally:
            self.cleanup()

    async def async_run(self, **keywords: Any) -> ExecutingRun:
        """As ``Runner.async_run``; call :meth:`cleanup` when it is over."""
        return await self._begun().async_run(**keywords)

    async def async_resume(self, **keywords: Any) -> ExecutingRun:
        """As ``Runner.async_resume``; call :meth:`cleanup` when it is over."""
        return await self._begun().async_resume(**keywords)

    def cleanup(self) -> None:
        """End what runs, and delete all temporary files."""
        if self._runner is not None:
            self._runner.cleanup()
            self._runner = None
        self._cell.delete()

    def _begun(self) -> Runner:
        if self._runner is None:
            path = self._cell.write()
            self._runner = self._make(path)
            # Whoever holds what is executing may have let go of this object.
            weakref.finalize(self._runner._commands, path.unlink, missing_ok=True)
        return self._runner


class NotebookFile:
    """The temporary flow file of a flow that is defined in a cell.

    Args:
        flow: The flow class.
        base_dir: Where it is to be; by default the current directory.

    Raises:
        UsageError: The flow has no source, or this is the process of the flow itself.
    """

    def __init__(self, flow: type[FlowSpec], base_dir: str | os.PathLike[str] | None) -> None:
        if FlowSpec._on_main is not None:
            raise UsageError(
                f"Flow {flow.__name__}: found it run by its own file, which would go on for ever. "
                f"Put what runs it below if __name__ == '__main__'."
            )
        self.folder = Path(base_dir or Path.cwd()).absolute()
        self._name = flow.__name__
        self._source = source_of(flow)  # now: the cell may be edited and executed again
        self._path: Path | None = None

    def write(self) -> Path:
        """Write the file. Returns its path."""
        try:
            descriptor, name = tempfile.mkstemp(".py", f"{self._name}_", self.folder)
        except OSError as error:
            raise UsageError(
                f"Folder {self.folder}: {error.strerror}. Pass a base_dir that can be written to."
            ) from error
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self._source)
        self._path = Path(name)
        return self._path

    def delete(self) -> None:
        """Delete the file if there is one."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None


def source_of(flow: type[FlowSpec]) -> str:
    """The source of a flow file for a flow that is defined in a cell or in a module.

    Lines keep their numbers, so a traceback points to where the author sees the line.

    Raises:
        UsageError: There is no source.
    """
    functions = [value for value in vars(flow).values() if isinstance(value, FunctionType)]
    if not functions:
        raise UsageError(
            f"Flow {flow.__name__}: found no step in the class itself, expected one: that is how "
            f"its source is found."
        )
    file = functions[0].__code__.co_filename
    linecache.checkcache(file)
    lines = linecache.getlines(file, functions[0].__globals__)
    try:
        tree = ast.parse("".join(lines), file)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"Flow {flow.__name__} ({file}): {error}.") from error
    if not lines:
        raise UsageError(f"Flow {flow.__name__} ({file}): found no source there.")
    for first, last in _left_out(tree, len(lines)):
        lines[first - 1 : last] = ["\n"] * (last - first + 1)
    return f'{"".join(lines)}\n\nif __name__ == "__main__":\n    {flow.__name__}()\n'


def _left_out(tree: ast.Module, end: int) -> Iterator[tuple[int, int]]:
    """The first and last lines of what is not copied."""
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef)):
            continue
        names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        is_main = isinstance(statement, ast.If) and "__name__" in names
        if is_main or _MAGIC in names:
            yield statement.lineno, statement.end_lineno or statement.lineno
        elif names & _STARTING:
            # What follows works on the result, which the flow's own process does not have.
            yield statement.lineno, end
            return
