"""``RUN/STEP[/TASK]`` and ``--run-id`` on a command line: the run and the tasks that they mean."""

from __future__ import annotations

import argparse

from flowsdk.client import Flow, Run, Step, Task
from flowsdk.client.namespaces import namespace
from flowsdk.client.selection import get_metadata, metadata
from flowsdk.decorators.project import full_name, given_branch
from flowsdk.exception import NotFound, UsageError
from flowsdk.flow import FlowSpec
from flowsdk.local.run import locate_run


def look_where_asked(args: argparse.Namespace, ns: str | None = None) -> None:
    """Have the client look where ``--metadata``, ``--datastore`` and ``--datastore-root`` say.

    Args:
        args: The command line.
        ns: The namespace in which to look. None is all of them: whoever names a run means it.
    """
    if args.metadata:
        metadata(args.metadata)
    elif args.root_given:
        metadata(args.datastore_root if "://" in args.datastore_root
                 else f"local@{args.datastore_root}")  # fmt: skip
    namespace(ns)


def run_of(flow: type[FlowSpec], args: argparse.Namespace, run_id: str | None) -> Run:
    """A run of the flow: the one of that id, or the newest if there is no id.

    Args:
        flow: The flow class.
        args: The command line.
        run_id: Its id; the flow's name may come before.

    Raises:
        UsageError: The id is none.
        NotFound: There is no such run, or none at all.
    """
    if run_id is None:
        name = flow_name(flow, args)
        newest = Flow(name).latest_run
        if newest is None:
            raise NotFound(f"Flow {name} has not run yet, expected a run. Name one with --run-id.")
        return newest
    name, parts = _located(flow, args, run_id)
    if len(parts) != 1 or not parts[0]:
        raise UsageError(f"Which run (command line): found {run_id!r}, expected a run id.")
    return Run(f"{name}/{parts[0]}")


def flow_name(flow: type[FlowSpec], args: argparse.Namespace) -> str:
    """What the flow is called where the client looks: an Airflow knows it as it is deployed."""
    if get_metadata().startswith("airflow@"):
        return full_name(flow, *given_branch(args))
    return flow.__name__


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
    look_where_asked(args)
    name, parts = _located(flow, args, path)
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(
            f"Which task (command line): found {path!r}, expected RUN/STEP or RUN/STEP/TASK."
        )
    if len(parts) == 3:
        return [Task("/".join([name, *parts]), attempt=getattr(args, "attempt", None))]
    tasks = list(Step("/".join([name, *parts])))[::-1]
    attempt = getattr(args, "attempt", None)
    return tasks if attempt is None else [Task(task.pathspec, attempt=attempt) for task in tasks]


def _located(flow: type[FlowSpec], args: argparse.Namespace, path: str) -> tuple[str, list[str]]:
    return locate_run(flow, path, *given_branch(args))
