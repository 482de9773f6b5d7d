"""What is noted of a task besides its artifacts: where, when and with what it ran."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from flowsdk.client.objects import parse_time

if TYPE_CHECKING:
    from flowsdk.client.metadata import TaskInfo
    from flowsdk.client.tasks import Task
    from flowsdk.spec import RunSpec, TaskResult


class Metadata(NamedTuple):
    """One fact about a task.

    Attributes:
        name: Of the fact.
        value: Of the fact.
        created_at: When it became known; None while the task runs.
        type: The same as the name.
        task: The task.
    """

    name: str
    value: Any
    created_at: datetime | None
    type: str
    task: Task


def facts_of(
    info: TaskInfo, result: TaskResult | None, run: RunSpec | None, root: str | None
) -> dict[str, Any]:
    """The facts about a task by name, under Metaflow's names where it has the same.

    Args:
        info: The task.
        result: How its attempt ended, if it has.
        run: Its run, if that is known.
        root: URI of the datastore, if that is known.
    """
    facts: dict[str, Any] = {
        "attempt": info.attempt,
        "status": info.status,
        "started_at": info.started_at,
        "finished_at": info.finished_at,
    }
    if root:
        facts |= {"ds-type": "s3" if root.startswith("s3://") else "local", "ds-root": root}
    if run:
        facts |= {"user": run.user, "runtime": run.launcher, "script-name": run.script}
    if result:
        facts |= {
            "host": result.host,
            "aws-batch-job-id": result.batch_job,
            "code-package": result.code,
            **{f"{name}_version": version for name, version in result.versions.items()},
        }
        if result.origin:
            _, origin_run, _, origin_task, _ = result.origin.split("/")
            facts |= {"origin-run-id": origin_run, "origin-task-id": origin_task}
    return facts


def listed(facts: Mapping[str, Any], task: Task, info: TaskInfo) -> list[Metadata]:
    """The facts that have a value, one by one."""
    known_at = parse_time(info.finished_at)
    return [
        Metadata(name, value, known_at, name, task)
        for name, value in facts.items()
        if value is not None
    ]


def environment_of(result: TaskResult | None) -> dict[str, Any] | None:
    """What a task ran in; None while it has no result."""
    if result is None:
        return None
    versions = {f"{name}_version": version for name, version in sorted(result.versions.items())}
    return {
        "type": "aws-batch" if result.batch_job else "local",
        "host": result.host,
        **versions,
    }
