"""The client's ``Task`` of a task whose result is not stored yet, for cards of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowsdk.spec import TaskRef, TaskResult

if TYPE_CHECKING:
    from flowsdk.client.objects import View
    from flowsdk.client.tasks import Task
    from flowsdk.datastore import FlowDatastore


def finished_task(store: FlowDatastore, result: TaskResult) -> Task:
    """A task that has just ended.

    Args:
        store: The flow's datastore.
        result: What is about to be committed.
    """
    from flowsdk.client.metadata import TaskInfo
    from flowsdk.client.tasks import Task

    return Task._of((result.flow, result.run), TaskInfo.of(result), _view(store))


def running_task(store: FlowDatastore, run: str, ref: TaskRef) -> Task:
    """A task that is running.

    Args:
        store: The flow's datastore.
        run: Run id.
        ref: The attempt.
    """
    from flowsdk.client.metadata import TaskInfo
    from flowsdk.client.tasks import Task

    info = TaskInfo(ref.step, ref.task, ref.attempt, "running")
    return Task._of((store.flow, run), info, _view(store))


def _view(store: FlowDatastore) -> View:
    """The datastore itself, also where Airflow is what launches: it knows of this task first."""
    from flowsdk.client.objects import View
    from flowsdk.client.selection import provider_of

    root = store.storage.root
    return View(provider_of(root if "://" in root else f"local@{root}"))
