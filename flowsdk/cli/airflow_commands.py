"""What the commands of ``python flow.py airflow`` do."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from flowsdk.cli.airflow import deployed_name, server_of
from flowsdk.cli.flow_parameters import given_parameters
from flowsdk.cli.telling import Teller
from flowsdk.decorators.dates import moment, zone_of
from flowsdk.decorators.settings import flow_schedule
from flowsdk.deployer.dags_folder import find_dags_folder
from flowsdk.deployer.deployed import DeployedFlow
from flowsdk.deployer.triggered import TriggeredRun, status_of
from flowsdk.exception import FlowException, ParameterError, UsageError, did_you_mean
from flowsdk.flow import FlowSpec, graph_of
from flowsdk.parameters import collect_parameters, convert
from flowsdk.registry import mark_deployed

_RUN_ID_WIDTH = 52


def trigger(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Start a run."""
    say = Teller(args)
    deployed = _deployed(flow, args)
    run = deployed.trigger_as(args.run_id, _values(flow, given_parameters(args)))
    return _started(say, args, run)


def resume(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Start a run that uses what an earlier one has done."""
    say = Teller(args)
    deployed = _deployed(flow, args)
    origin = args.origin_run_id
    if origin is None:
        newest = deployed.list_runs(limit=1)
        if not newest:
            raise UsageError(
                f"Which run to resume: flow {deployed.name} has no run in Airflow, expected one. "
                f"Name a run of a laptop with --origin-run-id."
            )
        origin = newest[0].run_id
    if args.step is not None and args.step not in graph_of(flow):
        raise UsageError(
            f"Which step to resume from: flow {flow.__name__} has no step {args.step!r}, expected "
            f"one of {', '.join(graph_of(flow).nodes)}.{did_you_mean(args.step, graph_of(flow).nodes)}"
        )
    run = deployed.resume_as(args.run_id, origin, args.step)
    say(f"Resuming run {origin}.")
    return _started(say, args, run)


def _started(say: Teller, args: argparse.Namespace, run: TriggeredRun) -> int:
    """Tell of a run that has just been started, and wait for it if that is asked for."""
    facts: dict[str, Any] = {"run_id": run.run_id, "pathspec": run.pathspec}
    say(f"Triggered {run.pathspec}", always=True)
    status = None
    if getattr(args, "wait", None) is not None:
        timeout = None if math.isinf(args.wait) else args.wait
        try:
            status = run.wait_for_completion(timeout=timeout)
        except TimeoutError as error:
            raise FlowException(str(error)) from error
        say(f"{status.capitalize()}.")
    say.result({**facts, "status": status or run.status})
    return 1 if status == "FAILED" else 0


def list_runs(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """List the newest runs."""
    say = Teller(args)
    deployed = _deployed(flow, args)
    deployed.status  # noqa: B018  # a flow that is not deployed is an error, not an empty list
    runs = [_facts_of(run.listed) for run in deployed.list_runs(args.states, args.limit)]
    for run in runs:
        started = (run["started_at"] or "")[:19].replace("T", " ")
        say(f"{run['run_id']:<{_RUN_ID_WIDTH}}  {run['status']:<9}  {started}", always=True)
    if not runs:
        say(f"Flow {deployed.name} has no such run." if args.states else "There is no run yet.")
    say.result(runs)
    return 0


def backfill(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Start the runs of a range of dates."""
    say = Teller(args)
    schedule = flow_schedule(flow)
    if schedule is None:
        raise UsageError(
            f"Flow {flow.__name__}: found no @schedule, expected one: a backfill is the runs that a "
            f"schedule would have started. 'airflow trigger' starts a single run."
        )
    zone = zone_of(schedule.timezone)
    begin = _moment("--from-date", args.from_date, zone)
    end = _moment("--to-date", args.to_date, zone, ends=True)
    if begin > end:
        raise UsageError(f"--from-date {args.from_date} comes after --to-date {args.to_date}.")
    deployed = _deployed(flow, args)
    parameters = _values(flow, _named(args.parameters))
    if args.dry_run:
        dates = deployed.backfill_dates(begin, end)
        say(f"It would be {len(dates)} run{'s' * (len(dates) != 1)}:")
        for date in dates:
            say(f"    {date}", always=True)
        say.result({"dates": dates})
        return 0
    made = deployed.backfill(
        begin,
        end,
        parameters=parameters,
        max_active_runs=args.max_active_runs,
        reprocess=args.reprocess,
        backwards=args.backwards,
    )
    say(f"Backfill {made} has started; 'airflow list-runs' shows its runs.", always=True)
    say.result({"id": made, "from_date": begin.isoformat(), "to_date": end.isoformat()})
    return 0


def status(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Show how the deployment, or a run, is."""
    say = Teller(args)
    server, name = server_of(args), deployed_name(flow, args)
    if args.run_id:
        facts = _facts_of(server.require_run(name, args.run_id))
        for name, value in facts.items():
            say(f"{name.replace('_', ' ') + ':':<13}{'-' if value is None else value}", always=True)
        say.result(facts)
        return 0
    dag = server.require_dag(name)
    errors = server.import_errors(str(dag["relative_fileloc"]))
    last = server.runs(name, limit=1)
    facts = {
        "flow": name,
        "status": "BROKEN" if errors else "PAUSED" if dag["is_paused"] else "ACTIVE",
        "file": dag["relative_fileloc"],
        "bundle": dag["bundle_name"],
        "schedule": dag["timetable_summary"],
        "next_run": dag["next_dagrun_run_after"],
        "parsed_at": dag["last_parsed_time"],
        "last_run": f"{last[0]['dag_run_id']} {status_of(last[0])}" if last else None,
    }
    for name, value in facts.items():
        say(f"{name.replace('_', ' ') + ':':<11}{'-' if value is None else value}", always=True)
    for error in errors:
        say(f"\n{error['stack_trace'].strip()}", always=True)
    say.result({**facts, "import_errors": [error["stack_trace"] for error in errors]})
    return 1 if errors else 0


def pause(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Start no task of the flow from now on."""
    return _switch(flow, args, paused=True)


def unpause(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Let the flow run again."""
    return _switch(flow, args, paused=False)


def _switch(flow: type[FlowSpec], args: argparse.Namespace, *, paused: bool) -> int:
    say = Teller(args)
    server, name = server_of(args), deployed_name(flow, args)
    server.require_dag(name)
    server.pause(name, paused)
    say(f"Flow {name} is {'paused' if paused else 'active'}.")
    say.result({"flow": name, "paused": paused})
    return 0


def terminate(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """End a run."""
    say = Teller(args)
    server, name = server_of(args), deployed_name(flow, args)
    server.require_run(name, args.run_id)
    run = TriggeredRun(name, args.run_id, server)
    ended = run.terminate()
    told = f"Terminated {run.pathspec}" if ended else f"{run.pathspec} has ended already"
    say(told, always=True)
    say.result({"run_id": args.run_id, "terminated": ended, "status": run.status})
    return 0


def delete(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Take the flow out of Airflow."""
    say = Teller(args)
    folder = find_dags_folder(args.dags_folder)
    deployed = DeployedFlow(deployed_name(flow, args), server_of(args), folder)
    changes = deployed.delete()
    for path in changes.deleted:
        say(f"    deleted {path}")
    for path, why in changes.kept.items():
        say(f"    kept    {path}: {why}")
    say(f"Flow {deployed.name} is no longer deployed. Its data stays in the datastore.")
    say.result({"deleted": list(changes.deleted), "kept": dict(changes.kept)})
    return 0


def _deployed(flow: type[FlowSpec], args: argparse.Namespace) -> DeployedFlow:
    return DeployedFlow(deployed_name(flow, args), server_of(args))


def _values(flow: type[FlowSpec], given: Mapping[str, str]) -> dict[str, Any]:
    """Parameters of a run as JSON values.

    Raises:
        UsageError: Unknown names and wrong values; all of them.
    """
    mark_deployed(flow)  # so that files are looked for where Airflow's machines will look
    parameters = collect_parameters(flow)
    values, problems = {}, []
    for name, text in given.items():
        if name not in parameters:
            problems.append(
                f"Parameter {name!r}: flow {flow.__name__} has none of that name."
                f"{did_you_mean(name, parameters)}"
            )
            continue
        try:
            values[name] = convert(parameters[name], text)
            parameters[name].verify(flow, values[name])
        except ParameterError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))
    return values


def _named(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    wrong = [name for name, equals, _ in pairs if not equals]
    if wrong:
        raise UsageError(f"--parameter {wrong[0]}: expected NAME=VALUE.")
    return {name: value for name, _, value in pairs}


def _facts_of(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run_id": run["dag_run_id"],
        "status": status_of(run),
        "type": run["run_type"],
        "logical_date": run["logical_date"],
        "started_at": run["start_date"],
        "ended_at": run["end_date"],
        "parameters": run["conf"],
    }


def _moment(option: str, text: str, zone: tzinfo, *, ends: bool = False) -> datetime:
    try:
        return moment(text, zone, ends=ends)
    except ValueError as error:
        raise UsageError(
            f"{option} {text}: expected a date such as 2026-11-21 or 2026-11-21T06:00."
        ) from error
