"""Running flow classes in the test's own process; only their tasks are forked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowsdk import FlowSpec
from flowsdk.artifacts.scope import Scope
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators import STEP_DECORATORS, parse_spec
from flowsdk.local.run import LocalRun, RunOptions
from flowsdk.local.scheduler import Listener
from flowsdk.parameters import resolve_parameters
from flowsdk.spec import TaskResult


@dataclass
class Ran:
    """A run that has ended: what it printed, and every attempt's result in the order of their end."""

    store: FlowDatastore
    succeeded: bool = False
    lines: list[str] = field(default_factory=list)
    results: list[TaskResult] = field(default_factory=list)

    def result(self, step: str, task: str = "0") -> TaskResult:
        """Of the last attempt of a task."""
        return [r for r in self.results if (r.step, r.task) == (step, task)][-1]

    def artifact(self, name: str, step: str = "end", task: str = "0") -> Any:
        """The value that a task has of an artifact."""
        refs = self.result(step, task).artifacts
        return Scope(self.store.storage, self.store.blobs, refs).load(name)

    @property
    def output(self) -> str:
        """All that was printed, lines joined."""
        return "\n".join(self.lines)


def run_here(
    flow: type[FlowSpec], root: Path, *with_: str, parameters: dict[str, Any] | None = None
) -> Ran:
    """Run a flow.

    Args:
        flow: The flow class.
        root: Folder of the datastore.
        with_: As ``--with`` takes them.
        parameters: Values of parameters; the others have their defaults.
    """
    ran = Ran(FlowDatastore.at(str(root), flow.__name__))
    decorators: Sequence[Any] = [parse_spec(text, STEP_DECORATORS) for text in with_]
    run = LocalRun(
        flow,
        resolve_parameters(flow, parameters or {}),
        RunOptions(str(root), decorators=decorators),
        lambda _, lines: ran.lines.extend(line.text for line in lines),
    )
    listener = Listener(lambda *_: None, lambda result, _: ran.results.append(result))
    ran.succeeded = run.execute(listener).succeeded
    return ran
