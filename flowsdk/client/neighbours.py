"""The tasks before and after a task, from what launched them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from flowsdk.planning import iteration_of, task_id
from flowsdk.spec import TaskRef, TaskResult

if TYPE_CHECKING:
    from flowsdk.client.metadata import TaskInfo
    from flowsdk.client.tasks import Task

#: From so many tasks of a step on, listing the step is cheaper than asking for each.
_LIST_FROM = 4


def parents_of(task: Task) -> list[Task]:
    """The tasks that ``task`` follows, in the order of its inputs."""
    spec = task._spec()
    return existing(task, spec.parents) if spec else []


def children_of(task: Task) -> list[Task]:
    """The tasks that follow ``task``, as far as there are any yet."""
    info, result = task._info(), task._result()
    if result and result.splits and result.splits.count:
        return existing(task, _split_refs(info, result))
    flow, run = task.path_components[:2]
    # After a foreach over nothing comes the join, which the result need not name.
    nothing = bool(result and result.splits)
    steps = task._provider.steps(flow, run) if nothing else info.next
    # What follows bears one of a few ids, and so may the child of another task: what it was
    # launched with says whose it is.
    return [
        child
        for step in steps
        for child in _first(child for child in _candidates(task, step) if _follows(child, info))
    ]


def existing(task: Task, refs: Iterable[TaskRef]) -> list[Task]:
    """Those of some tasks of the run that there are, in their order."""
    wanted = [(ref.step, ref.task) for ref in refs]
    flow, run = task.path_components[:2]
    provider = task._provider
    known: dict[tuple[str, str], TaskInfo | None] = {}
    for step in dict.fromkeys(step for step, _ in wanted):
        ids = [name for of, name in wanted if of == step]
        if len(ids) < _LIST_FROM:
            known |= {(step, name): provider.task(flow, run, step, name) for name in ids}
        else:
            known |= {(step, info.task): info for info in provider.tasks(flow, run, step)}
    found = (known.get(place) for place in wanted)
    return [task._sibling(info) for info in found if info]


def _split_refs(info: TaskInfo, result: TaskResult) -> Iterator[TaskRef]:
    splits = result.splits
    assert splits is not None
    for step in info.next:
        for index in range(splits.count):
            yield TaskRef(step, task_id((*info.foreach, splits.frame(info.step, index))), 0)


def _candidates(task: Task, step: str) -> Iterator[Task]:
    """The tasks of a step that may follow: in the same place, further round, or one level out."""
    info = task._info()
    ids = [task_id(info.foreach)]
    if step == info.step:
        ids = [task_id(info.foreach, iteration_of(info.task) + 1)]
    elif info.foreach:
        ids.append(task_id(info.foreach[:-1]))
    for name in dict.fromkeys(ids):
        yield from existing(task, [TaskRef(step, name, 0)])


def _follows(child: Task, parent: TaskInfo) -> bool:
    spec = child._spec()
    return spec is not None and any(
        (ref.step, ref.task) == (parent.step, parent.task) for ref in spec.parents
    )


def _first(tasks: Iterator[Task]) -> Iterator[Task]:
    found = next(tasks, None)
    if found is not None:
        yield found
