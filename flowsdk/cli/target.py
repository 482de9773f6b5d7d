"""``RUN/STEP[/TASK]`` on a command line: the tasks that it means."""

from __future__ import annotations

import argparse

from flowsdk.client.runs import Step
from flowsdk.client.selection import metadata
from flowsdk.client.tasks import Task
from flowsdk.exception import UsageError
from flowsdk.flow import FlowSpec


def tasks_of(flow: type[FlowSpec], args: argparse.Namespace, path: str) -> list[Task]:
    """The tasks that ``path`` means, in the order in which they were launched.

    Args:
        flow: The flow class.
        args: The command line.
        path: ``run/step`` or ``run/step/task``; the flow's name may come before.

    Raises:
        UsageError: It is of another form.
        NotFound: There is no such step or task.
    """
    if args.metadata:
        metadata(args.metadata)
    elif args.root_given:
        metadata(args.datastore_root if "://" in args.datastore_root
                 else f"local@{args.datastore_root}")  # fmt: skip
    parts = path.strip("/").split("/")
    name = flow.__name__
    if len(parts) > 2 and parts[0] == name:
        parts = parts[1:]
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(
            f"Which task (command line): found {path!r}, expected RUN/STEP or RUN/STEP/TASK."
        )
    if len(parts) == 3:
        return [Task("/".join([name, *parts]), attempt=getattr(args, "attempt", None))]
    tasks = list(Step("/".join([name, *parts])))[::-1]
    attempt = getattr(args, "attempt", None)
    return tasks if attempt is None else [Task(task.pathspec, attempt=attempt) for task in tasks]
