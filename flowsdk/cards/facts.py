"""What a default card tells of its task, taken from the documents of the run."""

from __future__ import annotations

import linecache
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from flowsdk.exception import FlowException
from flowsdk.spec import ArtifactRef, ErrorInfo, RunSpec, TaskResult, TaskSpec

if TYPE_CHECKING:
    from flowsdk.graph import FlowGraph

State = Literal["running", "succeeded", "failed"]


@dataclass(frozen=True)
class Source:
    """The source of a step.

    Attributes:
        file: Where it is defined.
        line: Of its first line.
        text: The source.
    """

    file: str
    line: int
    text: str


@dataclass(frozen=True)
class TaskFacts:
    """A task, running or finished.

    Attributes:
        flow: Name of the flow.
        run: Run id.
        step: Name of the step.
        task: Task id.
        attempt: 0-based.
        status: ``running``, ``succeeded`` or ``failed``.
        started_at: When user code began.
        finished_at: When the task ended; None while it runs.
        user: Who asked for the run; empty if that is not known.
        tags: Of the run.
        splits: The foreach levels around the task, as ``label (3 of 10)``.
        parameters: Name → preview of the value.
        artifacts: The artifacts, by name.
        error: Why it failed.
        caught: The error that ``@catch`` has turned into a success.
        host: Name of the machine.
        versions: Of python and flowsdk.
        graph: Of the flow; None if its source is not there.
        source: Of the step, likewise.
    """

    flow: str
    run: str
    step: str
    task: str
    attempt: int
    status: State
    started_at: str
    finished_at: str | None
    user: str
    tags: tuple[str, ...]
    splits: tuple[str, ...]
    parameters: Mapping[str, str]
    artifacts: Mapping[str, ArtifactRef]
    error: ErrorInfo | None
    caught: ErrorInfo | None
    host: str
    versions: Mapping[str, str]
    graph: FlowGraph | None
    source: Source | None

    @property
    def pathspec(self) -> str:
        """``Flow/run/step/task``."""
        return f"{self.flow}/{self.run}/{self.step}/{self.task}"

    @property
    def own(self) -> str:
        """This attempt, as the origin of the artifacts that it wrote."""
        return f"{self.step}/{self.task}/{self.attempt}"

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        if not self.finished_at:
            return None
        begin, end = map(datetime.fromisoformat, (self.started_at, self.finished_at))
        return (end - begin).total_seconds()


def running_facts(spec: TaskSpec, flow: type, started_at: str) -> TaskFacts:
    """The facts of a task whose step is running.

    Args:
        spec: What is run.
        flow: The flow class.
        started_at: ISO 8601.
    """
    return TaskFacts(
        flow=spec.flow,
        run=spec.run,
        step=spec.step,
        task=spec.task,
        attempt=spec.attempt,
        status="running",
        started_at=started_at,
        finished_at=None,
        user=spec.user,
        tags=spec.tags,
        splits=_splits(spec.foreach),
        parameters={name: repr(value)[:200] for name, value in (spec.parameters or {}).items()},
        artifacts={},
        error=None,
        caught=None,
        host="",
        versions={},
        **_code(flow, spec.step),
    )


def finished_facts(result: TaskResult, flow: type, asked: TaskSpec | RunSpec | None) -> TaskFacts:
    """The facts of a task that has ended.

    Args:
        result: How it ended.
        flow: The flow class.
        asked: Who asked for it and with what tags, if that is known.
    """
    refs = sorted(result.artifacts.items())
    return TaskFacts(
        flow=result.flow,
        run=result.run,
        step=result.step,
        task=result.task,
        attempt=result.attempt,
        status=result.status,
        started_at=result.started_at,
        finished_at=result.finished_at,
        user=asked.user if asked else "",
        tags=asked.tags if asked else (),
        splits=_splits(result.foreach),
        parameters={n: r.preview or r.type for n, r in refs if r.kind == "parameter"},
        artifacts={n: r for n, r in refs if r.kind != "parameter" and not n.startswith("_")},
        error=result.error,
        caught=result.caught,
        host=result.host,
        versions=result.versions,
        **_code(flow, result.step),
    )


def _splits(frames: Any) -> tuple[str, ...]:
    return tuple(f"{frame.label} ({frame.index + 1} of {frame.count})" for frame in frames)


def _code(flow: Any, step: str) -> dict[str, Any]:
    """Graph and source; a card can do without either."""
    from flowsdk.flow import graph_of
    from flowsdk.graph.source import sources_of

    found: dict[str, Any] = {"graph": None, "source": None}
    try:
        found["graph"] = graph_of(flow)
        where = sources_of({step: getattr(flow, step)})[step]
    except (FlowException, AttributeError, OSError):
        return found
    tree = where.definition
    first = min([tree.lineno, *(decorator.lineno for decorator in tree.decorator_list)])
    lines = linecache.getlines(where.file)[first - 1 : tree.end_lineno]
    found["source"] = Source(where.file, first, textwrap.dedent("".join(lines)))
    return found
