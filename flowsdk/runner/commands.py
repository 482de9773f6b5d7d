"""A flow file whose commands can be started: what ``Runner`` and ``Deployer`` have in common."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flowsdk
from flowsdk.exception import UsageError, did_you_mean
from flowsdk.runner.process import FlowProcess, stop

#: As ``python flow.py`` would: the flow's folder comes first. flowsdk comes last, for where it is
#: not installed but only on this process's path.
_BOOT = (
    "import sys; sys.path[0] = sys.argv[1]; sys.path.append(sys.argv[2]); "
    "from flowsdk.runner.launch import main; main(sys.argv[3])"
)


class FlowCommands:
    """Starts the commands of one flow file.

    How it works:
        The keywords travel in a file, as JSON: no shell sees them, no limit of a command line
        applies. What they mean is decided by the process that has imported the flow. Everything
        temporary lies in one folder, which :meth:`cleanup` deletes; whatever runs then is ended.
        Both happen at the latest when this object goes or Python exits.

    Args:
        flow_file: Relative to the current directory.
        env: Added to this process's environment.
        cwd: Where commands run; by default the current directory.
        options: Of every command line, before the command.

    Raises:
        UsageError: There is no such file or directory.
    """

    def __init__(
        self,
        flow_file: str | os.PathLike[str],
        env: Mapping[str, str] | None,
        cwd: str | os.PathLike[str] | None,
        options: Mapping[str, Any],
    ) -> None:
        self.flow_file = Path(flow_file).absolute()
        self.cwd = Path(cwd or Path.cwd()).absolute()
        _check_places(self.flow_file, self.cwd)
        self.env = {**os.environ, **(env or {})}
        self.options = dict(options)
        self._folder: Path | None = None
        self._started: list[FlowProcess] = []
        self._finalizer = weakref.finalize(self, _discard, [], None)

    def start(
        self, command: Sequence[str], options: Mapping[str, Any], attributes: str
    ) -> FlowProcess:
        """Start a command.

        Args:
            command: Its words, such as ``["run"]``.
            options: Its options and the parameters of the flow, by name.
            attributes: Name of the option that takes the file in which it says what it has started.

        Raises:
            UsageError: A value is of a type that no option can have.
        """
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="flowsdk-runner-"))
        place = self._folder / str(len(self._started))
        place.mkdir(exist_ok=True)
        plan = {
            "flow_file": str(self.flow_file),
            "ends_with": _process_of_main_thread(),
            "options": self.options,
            "command": list(command),
            "command_options": {**options, attributes: str(place / "attributes.json")},
        }
        plan_file = place / "plan.json"
        plan_file.write_text(json.dumps(plan, default=_plain), "utf-8")
        sdk = Path(flowsdk.__file__).parents[1]
        argv = [sys.executable, "-c", _BOOT, self.flow_file.parent, sdk, plan_file]
        process = FlowProcess([str(word) for word in argv], place, self.env, self.cwd)
        self._started.append(process)
        self._finalizer.detach()
        running = [started.popen for started in self._started]
        self._finalizer = weakref.finalize(self, _discard, running, self._folder)
        return process

    def cleanup(self) -> None:
        """End what runs, and delete all temporary files."""
        for process in self._started:
            process.stop()
            process.keep_output()
        self._finalizer()
        self._started, self._folder = [], None

    async def cleanup_async(self) -> None:
        """As :meth:`cleanup`, without holding up the event loop."""
        for process in self._started:
            await process.stop_async()
        self.cleanup()


def _process_of_main_thread() -> int | None:
    """This process; None in another thread, whose end a child would take for that of the process."""
    return os.getpid() if threading.current_thread() is threading.main_thread() else None


def _check_places(flow_file: Path, cwd: Path) -> None:
    if not flow_file.is_file():
        near = [path.name for path in flow_file.parent.glob("*.py")]
        raise UsageError(
            f"Flow file {flow_file}: not found.{did_you_mean(flow_file.name, near)} It is looked "
            f"for relative to the current directory, {Path.cwd()}."
        )
    if not cwd.is_dir():
        raise UsageError(f"Working directory {cwd}: not found, expected an existing directory.")


def _discard(running: list[Any], folder: Path | None) -> None:
    for process in running:
        stop(process)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def as_json(value: Any) -> Any:
    """A keyword's value as JSON has it: arrays are lists, dates and paths are text.

    Raises:
        UsageError: It is of a type that has no such value.
    """
    return json.loads(json.dumps(value, default=_plain))


def _plain(value: Any) -> Any:
    """The JSON value of what JSON does not know."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):  # arrays and scalars of numpy, columns of pandas
        return value.tolist()
    raise UsageError(
        f"Keyword argument: found {value!r} of type {type(value).__qualname__}, expected text, a "
        f"number, True or False, None, a date, a path, or lists and dictionaries of these."
    )
