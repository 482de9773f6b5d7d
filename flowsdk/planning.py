"""From finished tasks to the specs of the next ones.

Pure: the laptop's scheduler and the Airflow operator both plan with these functions, so a flow
has the same tasks, ids and inputs wherever it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowsdk.decorators.project import ProjectSettings
from flowsdk.spec import ErrorInfo, ForeachFrame, RunSpec, Splits, TaskRef, TaskSpec, flow_class

if TYPE_CHECKING:
    from flowsdk.decorators.settings import StepSettings
    from flowsdk.graph import FlowGraph, Node

#: Task id outside any foreach.
PLAIN_TASK = "0"


def task_id(foreach: Sequence[ForeachFrame], iteration: int = 0) -> str:
    """The id of a task: its split indices, outermost first, joined by ``-``.

    Args:
        foreach: The foreach levels around the task.
        iteration: How often its step, if it loops to itself, has run before in the same place;
            what comes after the first is counted behind a dot.
    """
    place = "-".join(str(frame.index) for frame in foreach) or PLAIN_TASK
    return f"{place}.{iteration}" if iteration else place


def iteration_of(task: str) -> int:
    """The iteration that a task id says."""
    return int(task.rpartition(".")[2]) if "." in task else 0


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
        # After a foreach over nothing, the join follows the step that split.
        return frames if node.join_of == parent else frames[:-1]
    if splits is not None and graph[parent].kind == "foreach":
        return (*frames, splits.frame(parent, index))
    return frames


def gang_facts(foreach: Sequence[ForeachFrame]) -> dict[str, Any]:
    """What a task of a gang has to know of it, as the fact ``parallel``; nothing for other tasks.

    The tasks of a gang are the splits of a foreach over nothing in particular: the frame has no
    values, and the first task, the control task, is the one that the others find at ``main_ip``. That
    is this machine's; where it is another a job knows (:mod:`flowsdk.runtime.gang`).

    Args:
        foreach: The foreach levels around the task.
    """
    if not foreach or foreach[-1].values:
        return {}
    *outer, frame = foreach
    return {
        "parallel": {
            "main_ip": "127.0.0.1",
            "num_nodes": frame.count,
            "node_index": frame.index,
            "control_task_id": task_id([*outer, replace(frame, index=0)]),
        }
    }


def after_failures(
    spec: TaskSpec, failures: int, lost: ErrorInfo | None, *, last: bool = False
) -> TaskSpec:
    """The spec of an attempt that follows others.

    A step with ``@catch`` that is lost with all of its job, for the last time, is tried once more:
    nothing was left in it that could have acted, so the next job does what ``@catch`` does, and only
    that.

    Args:
        spec: Of the attempt, as the first would be.
        failures: How often the user's code has failed before.
        lost: How the task was lost with all of its job, if it was and nothing came after.
        last: Whether there will be no other attempt, whoever is to blame.
    """
    if lost is None or not spec.catches or not (last or failures > spec.max_retries):
        return replace(spec, retry_count=failures)
    return replace(spec, retry_count=max(failures, spec.max_retries), lost=lost)


def task_spec(
    run: RunSpec,
    root: str,
    node: Node,
    settings: StepSettings,
    *,
    parents: Sequence[TaskRef] = (),
    foreach: Sequence[ForeachFrame] = (),
    attempt: int = 0,
    facts: Mapping[str, Any] | None = None,
    iteration: int = 0,
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
        facts: What the launcher knows and ``current`` shows.
        iteration: How often a step that loops to itself has run before in the same place.
    """
    project = ProjectSettings.of_tags(run.system_tags)
    return TaskSpec(
        flow=run.flow,
        run=run.run,
        step=node.name,
        task=task_id(foreach, iteration),
        attempt=attempt,
        root=root,
        parents=tuple(parents),
        is_join=node.is_join,
        foreach=tuple(foreach),
        parameters=None if parents else dict(run.parameters),
        code=run.code,
        script=run.script,
        user=run.user,
        namespace=run.namespace or f"user:{run.user}",
        tags=run.tags,
        max_retries=settings.retry_times,
        timeout_seconds=settings.timeout_seconds,
        environment=dict(settings.environment),
        origin_run=run.origin.partition("/")[2] if run.origin else None,
        facts={
            **gang_facts(foreach),
            **(project.facts(flow_class(run.flow)) if project else {}),
            **(facts or {}),
        },
        iteration=iteration,
        decorators=run.decorators,
        configs=dict(run.configs),
        catches=settings.catches,
    )
