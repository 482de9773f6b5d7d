"""``python flow.py airflow create``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

from flowsdk.cli.airflow import deployed_name, server_of
from flowsdk.cli.run import write_at_once
from flowsdk.cli.telling import Teller
from flowsdk.decorators.project import given_branch
from flowsdk.deployer.checking import deployment_for, files_of, require_deployable
from flowsdk.deployer.dags_folder import Changes, DagsFolder, FlowFiles, find_dags_folder
from flowsdk.deployer.parsing import Parsed, wait_until_parsed
from flowsdk.deployer.server import AirflowServer, server_url
from flowsdk.deployment import Deployment
from flowsdk.exception import DeploymentError, UsageError
from flowsdk.flow import FlowSpec


def create(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Deploy the flow."""
    name = deployed_name(flow, args)
    _refuse_what_cannot_be(args, name)
    say = Teller(args)
    deployment = deployment_for(flow, *given_branch(args))
    require_deployable(flow)
    folder = DagsFolder(find_dags_folder(args.dags_folder))
    if not args.overwrite:
        _require_same_branch(flow, folder, deployment)
    files = files_of(flow, folder, deployment, name, args.file_name)
    server = None if args.no_wait or args.dry_run else server_of(args)
    before = Parsed.now(server, files) if server else None
    changes = folder.put(files, overwrite=args.overwrite, dry_run=args.dry_run)
    _tell_changes(say, folder, files, changes, dry_run=args.dry_run)
    facts: dict[str, Any] = {
        "name": name,
        "airflow": server_url(args.airflow, args.metadata),
        "dags_folder": folder.root,
        "file": files.script,
        "written": list(changes.written),
        "unchanged": list(changes.unchanged),
        "deleted": list(changes.deleted),
    }
    if server and before:
        started = time.monotonic()
        say(f"Waiting until Airflow at {server.url} has parsed {files.script} ...")
        dag = wait_until_parsed(server, files, before if changes else None, args.timeout)
        took = time.monotonic() - started
        paused = _let_run(server, dag, is_new=before.at is None, paused=args.paused)
        facts |= {"paused": paused, "parsed_at": dag["last_parsed_time"]}
        state = "paused" if paused else "active"
        say(f"Flow {name} is deployed and {state} ({took:.1f} s).")
        say(f"    {server.url}/dags/{name}")
    if not args.dry_run:
        option = "--deployer-attribute-file"
        write_at_once(option, args.deployer_attribute_file, json.dumps(facts))
    say.result(facts)
    return 0


def _refuse_what_cannot_be(args: argparse.Namespace, name: str) -> None:
    if args.decorators:
        raise UsageError(
            "--with (airflow create): found a decorator, expected none: Airflow makes the DAG from "
            "the flow's file. Put the decorator there."
        )
    if args.name is not None and args.name != name:
        raise UsageError(
            f"--name {args.name}: the DAG of a flow has the flow's name, {name}. Runs are "
            f"stored under it; subclass the flow for another one."
        )


def _require_same_branch(flow: type[FlowSpec], folder: DagsFolder, deployment: Deployment) -> None:
    """Refuse to put a branch of a project in the place of another, whose DAG would be gone."""
    there = folder.deployment(flow.__name__)
    if there is not None and there.branch not in (None, deployment.branch):
        raise DeploymentError(
            f"Flow {flow.__name__}: found it deployed in {folder.root} as branch {there.branch}, "
            f"expected {deployment.branch}: a dags folder holds one branch of a flow. Deploy to "
            f"another folder, or pass --overwrite to put this branch in the place of that one."
        )


def _tell_changes(
    say: Teller, folder: DagsFolder, files: FlowFiles, changes: Changes, *, dry_run: bool
) -> None:
    would = "would be " if dry_run else ""
    if not changes:
        say(f"{folder.root} has {files.script} and all that it needs already; nothing changes.")
        return
    say(f"{'Changes in' if dry_run else 'Deployed to'} {folder.root}")
    for path in changes.written:
        say(f"    {would}written {path}")
    for path in changes.deleted:
        say(f"    {would}deleted {path}")
    for path, why in changes.kept.items():
        say(f"    kept    {path}: {why}")


def _let_run(server: AirflowServer, dag: Mapping[str, Any], *, is_new: bool, paused: bool) -> bool:
    """Pause a flow, or let a new one run. Returns whether it is paused."""
    if paused or (is_new and dag["is_paused"]):
        server.pause(dag["dag_id"], paused)
        return paused
    return bool(dag["is_paused"])
