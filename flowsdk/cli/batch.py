"""``python flow.py batch``: the AWS Batch jobs of this flow that have not ended."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import datetime, timezone

from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.launcher import batch_jobs, defaults_from
from flowsdk.aws_batch.names import flow_prefix
from flowsdk.aws_batch.state import JobState
from flowsdk.aws_batch.submission import tag_value
from flowsdk.cli.actions import add_actions
from flowsdk.decorators.project import full_name, given_branch
from flowsdk.decorators.settings import step_settings
from flowsdk.exception import UsageError
from flowsdk.flow import FlowSpec, graph_of
from flowsdk.identity import user_name


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The actions of ``batch`` and their options."""
    actions = add_actions(
        parser,
        {
            "list": "list the unfinished AWS Batch jobs of this flow",
            "kill": "end the unfinished AWS Batch jobs of this flow",
        },
    )
    for action in actions.values():
        action.add_argument("--my-runs", action="store_true", help="those of all runs of one's own")
        action.add_argument("--user", metavar="NAME", help="those of all runs of a user")
        action.add_argument("--run-id", metavar="ID",
                            help="those of a run (default: of the newest run)")  # fmt: skip
    actions["list"].add_argument("--json", action="store_true",
                                 help="print one JSON object for each job")  # fmt: skip


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """List or end jobs."""
    run_id, user = _whose(flow, args)
    jobs = batch_jobs()
    found = unfinished(flow, args, jobs, run_id, user)
    for job in found:
        if args.action == "kill":
            jobs.terminate(job.id, f"Ended by {user_name()} with 'batch kill'")
        if getattr(args, "json", False):
            sys.stdout.write(f"{json.dumps(_facts(job))}\n")
        else:
            done = "Ended  " if args.action == "kill" else ""
            sys.stdout.write(f"{done}{_described(job)}\n")
    if not found and not args.quiet:
        whose = f"run {run_id}" if run_id else f"user {user}"
        sys.stderr.write(f"No unfinished AWS Batch jobs of {flow.__name__}, {whose}.\n")
    return 0


def unfinished(
    flow: type[FlowSpec],
    args: argparse.Namespace,
    jobs: BatchJobs,
    run_id: str | None,
    user: str | None,
) -> list[JobState]:
    """The unfinished jobs of a flow in the queues that its steps use, newest first.

    Args:
        flow: The flow class.
        args: The command line.
        jobs: AWS Batch.
        run_id: Only those of this run.
        user: Only those of runs of this user.
    """
    defaults = defaults_from(os.environ)
    steps = [step_settings(flow, node.name, args.decorators) for node in graph_of(flow)]
    queues = {defaults.queue_of(step) or jobs.first_enabled_queue() for step in steps}
    names = {tag_value(name) for name in (flow.__name__, full_name(flow, *given_branch(args)))}
    wanted = {"run": run_id, "user": user}
    tags = {name: tag_value(value) for name, value in wanted.items() if value}
    found: list[JobState] = []
    for queue in sorted(queues):
        # The summaries that a queue lists hold no tags, and a name only what AWS allows in one.
        active = {
            job.id for name in names for job in jobs.find(queue, flow_prefix(name)) if job.active
        }
        found += [
            job
            for job in jobs.describe(active).values()
            if job.active and job.tags.get("flow") in names and tags.items() <= job.tags.items()
        ]
    return sorted(found, key=lambda job: -(job.created_at or 0))


def _whose(flow: type[FlowSpec], args: argparse.Namespace) -> tuple[str | None, str | None]:
    """The run and the user whose jobs are meant."""
    if args.my_runs and (args.user or args.run_id):
        raise UsageError(
            "Whose jobs (command line): found --my-runs and --user or --run-id, expected one of "
            "them. Leave the others out."
        )
    user = user_name() if args.my_runs else args.user
    if user or args.run_id:
        return args.run_id, user
    from flowsdk.cli.target import look_where_asked, run_of

    look_where_asked(args)
    return run_of(flow, args, None).id, None


def _facts(job: JobState) -> dict[str, object]:
    tags = job.tags
    return {
        "job_id": job.id,
        "name": job.name,
        "status": job.status,
        "run_id": tags.get("run"),
        "step": tags.get("step"),
        "task": tags.get("task"),
        "user": tags.get("user"),
        "created_at": _time(job).isoformat(),
    }


def _described(job: JobState) -> str:
    tags = job.tags
    where = "/".join(tags.get(name, "?") for name in ("run", "step", "task"))
    return f"{job.id}  {job.status:<9}  {_time(job).astimezone():%Y-%m-%d %H:%M:%S}  {where}"


def _time(job: JobState) -> datetime:
    return datetime.fromtimestamp((job.created_at or 0) / 1000, timezone.utc)
