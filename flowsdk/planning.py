"""From finished tasks to the specs of the next ones.

Pure: the laptop's scheduler and the Airflow operator both plan with these functions, so a flow
has the same tasks, ids and inputs wherever it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowsdk.spec import ForeachFrame, RunSpec, Splits, TaskRef, TaskSpec

if TYPE_CHECKING:
    from flowsdk.decorators.settings import StepSettings
    from flowsdk.graph import FlowGraph, Node

#: Task id outside any foreach.
PLAIN_TASK = "0"


def task_id(foreach: Sequence[ForeachFrame]) -> str:
    """The id of a task: its split indices, outermost first, joined by ``-``."""
    return "-".join(str(frame.index) for frame in foreach) or PLAIN_TASK


def frames_of(
    graph: FlowGraph,
    node: Node,
    parent: str,
    parent_frames: Sequence[ForeachFrame],
    splits: Splits | None = None,
    index: int = 0,
) -> tuple[ForeachFrame, ...]:
    """The foreach levels around a task of ``node``.

    Args:
        graph: The flow's graph.
        node: The step about to run.
        parent: Name of the step that it follows (any one of them, for a join).
        parent_frames: The foreach levels around that parent's task.
        splits: What the parent produced, if it is the foreach that opens a level here.
        index: Which of the splits.
    """
    frames = tuple(parent_frames)
    if node.join_of is not None and graph[node.join_of].kind == "foreach":
        return frames[:-1]
    if splits is not None and graph[parent].kind == "foreach":
        return (*frames, splits.frame(parent, index))
    return frames


def task_spec(
    run: RunSpec,
    root: str,
    node: Node,
    settings: StepSettings,
    *,
    parents: Sequence[TaskRef] = (),
    foreach: Sequence[ForeachFrame] = (),
    attempt: int = 0,
    retry_count: int = 0,
    facts: Mapping[str, Any] | None = None,
) -> TaskSpec:
    """The spec of one attempt of one task.

    Args:
        run: The run it belongs to.
        root: URI of the datastore.
        node: The step.
        settings: What the step's decorators ask for.
        parents: The attempts whose artifacts come in; for a join one per input, in input order.
        foreach: The foreach levels around the task, from :func:`frames_of`.
        attempt: 0-based.
        retry_count: How many user retries came before.
        facts: What the launcher knows and ``current`` shows.
    """
    return TaskSpec(
        flow=run.flow,
        run=run.run,
        step=node.name,
        task=task_id(foreach),
        attempt=attempt,
        root=root,
        parents=tuple(parents),
        is_join=node.is_join,
        foreach=tuple(foreach),
        parameters=None if parents else dict(run.parameters),
        code=run.code,
        script=run.script,
        user=run.user,
        namespace=f"user:{run.user}",
        tags=run.tags,
        retry_count=retry_count,
        max_retries=settings.retry_times,
        timeout_seconds=settings.timeout_seconds,
        environment=dict(settings.environment),
        origin_run=run.origin.split("/")[1] if run.origin else None,
        facts=dict(facts or {}),
        decorators=run.decorators,
        configs=dict(run.configs),
        catches=settings.catches,
    )
