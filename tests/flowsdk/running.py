"""Whole runs of flow classes in the test's own process; only their tasks are forked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowsdk import FlowSpec
from flowsdk.artifacts.scope import Scope
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators import STEP_DECORATORS, parse_spec
from flowsdk.local.launchers import OnLines
from flowsdk.local.resume import resume
from flowsdk.local.run import LocalRun, RunOptions
from flowsdk.local.scheduler import Listener
from flowsdk.parameters import resolve_parameters
from flowsdk.runtime.logs import LogLine
from flowsdk.spec import TaskResult, TaskSpec


@dataclass
class Finished:
    """A run that has ended.

    Attributes:
        store: Where it lies.
        run: Its id.
        succeeded: Whether it did.
        failed: The results that ended it.
        started: ``step/task`` of every attempt launched, in order.
        attempts: The result of every attempt, in the order of their end.
        reused: ``step/task`` of every task taken over from an earlier run, in order.
        lines: What the tasks printed, in order.
        printed: The same by ``step/task``.
    """

    store: FlowDatastore
    run: str = ""
    succeeded: bool = False
    failed: tuple[TaskResult, ...] = ()
    started: list[str] = field(default_factory=list)
    attempts: list[TaskResult] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    printed: dict[str, list[str]] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """What the tasks printed, as one text."""
        return "\n".join(self.lines)

    @property
    def results(self) -> dict[str, TaskResult]:
        """``step/task`` → the result of its last attempt, as far as there is one."""
        found = {}
        for step, tasks in self.store.attempts(self.run).items():
            for task, attempts in tasks.items():
                if result := self.store.find_result(self.run, attempts[-1]):
                    found[f"{step}/{task}"] = result
        return found

    @property
    def tasks(self) -> list[str]:
        """``step/task`` of every task, sorted."""
        return sorted(self.results)

    def value(self, task: str, artifact: str) -> Any:
        """The value of an artifact of a task, given as ``step/task``."""
        refs = self.results[task].artifacts
        return Scope(self.store.storage, self.store.blobs, refs).load(artifact)

    def values(self, step: str, artifact: str) -> dict[str, Any]:
        """Task id → value of an artifact, for all tasks of a step."""
        mine = [task for task in self.tasks if task.split("/")[0] == step]
        return {task.split("/")[1]: self.value(task, artifact) for task in mine}

    def error(self) -> str:
        """Type and message of what ended the run."""
        (error,) = [result.error for result in self.failed if result.error]
        return f"{error.type}: {error.message}"


def run(
    flow: type[FlowSpec],
    folder: Path,
    parameters: Mapping[str, Any] | None = None,
    with_: Sequence[str] = (),
    **options: Any,
) -> Finished:
    """Run a flow.

    Args:
        flow: The flow class.
        folder: The datastore is in its folder ``store``.
        parameters: Values of parameters; the others have their defaults.
        with_: Decorators, as ``--with`` takes them.
        options: Others of ``RunOptions``.
    """
    values = resolve_parameters(flow, parameters or {})
    decorators = [parse_spec(text, STEP_DECORATORS) for text in with_]
    return _carry_out(
        flow,
        folder,
        {"decorators": decorators, **options},
        lambda how, lines: LocalRun(flow, values, how, lines),
    )


def resumed(
    flow: type[FlowSpec],
    folder: Path,
    step: str | None = None,
    origin: str | None = None,
    **options: Any,
) -> Finished:
    """Resume a run of a flow."""
    return _carry_out(
        flow,
        folder,
        options,
        lambda how, lines: resume(flow, how, lines, origin_run=origin, step=step),
    )


def _carry_out(
    flow: type[FlowSpec],
    folder: Path,
    options: Mapping[str, Any],
    prepare: Callable[[RunOptions, OnLines], LocalRun],
) -> Finished:
    root = str(folder / "store")
    finished = Finished(FlowDatastore.at(root, flow.__name__))

    def on_lines(spec: TaskSpec, lines: list[LogLine]) -> None:
        texts = [line.text for line in lines]
        finished.lines += texts
        finished.printed.setdefault(f"{spec.step}/{spec.task}", []).extend(texts)

    def reused(_: str, results: Sequence[TaskResult]) -> None:
        finished.reused += [f"{result.step}/{result.task}" for result in results]

    local_run = prepare(RunOptions(root, **options), on_lines)
    finished.run = local_run.run.run
    outcome = local_run.execute(
        Listener(
            started=lambda spec, _: finished.started.append(f"{spec.step}/{spec.task}"),
            ended=lambda result, _: finished.attempts.append(result),
            reused=reused,
        )
    )
    finished.succeeded, finished.failed = outcome.succeeded, outcome.failed
    return finished
