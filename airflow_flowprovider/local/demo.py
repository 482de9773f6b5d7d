"""``make demo``: a flow through a real Airflow on the embedded AWS, from nothing to its result."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow_flowprovider.local.standalone import Standalone
from flowsdk.client.airflow_api import PASSWORD, USERNAME, AirflowApi

FLOW = "DigitsFlow"
_PARSE_SECONDS = 120.0
_RUN_SECONDS = 600.0
_POLL_SECONDS = 1.0


class DemoError(Exception):
    """The demo did not end as it should."""


def run_demo(dags: Path, state_dir: Path, *, keep: bool = False) -> None:
    """Start everything, run the flow, show its result and end.

    Args:
        dags: The dags folder.
        state_dir: For everything that Airflow and the embedded AWS keep.
        keep: Leave everything running, until it is interrupted, for a look.

    Raises:
        DemoError: The flow was not found, or failed.
    """
    begun = time.monotonic()
    _say("Starting Airflow and an embedded AWS …")
    with Standalone(dags, state_dir) as standalone:
        os.environ.update(standalone.aws.env)
        os.environ.update({USERNAME: standalone.username, PASSWORD: standalone.password})
        api = AirflowApi(standalone.api_url)
        _say(f"Up after {time.monotonic() - begun:.0f} s. Airflow: {standalone.api_url}")
        flows = _wait_for_flows(api, dags)
        _say("", "Flows found in the dags folder, as DAGs:", *(f"  {line}" for line in flows), "")
        run = _trigger(api)
        url = f"{standalone.api_url}/dags/{FLOW}/runs/{quote(run)}"
        _say(f"Triggered {FLOW} through Airflow's API: run {run}", f"  {url}", "")
        _follow(api, run)
        _show_result(standalone.api_url, run)
        _say(
            "",
            f"Airflow's UI: {standalone.api_url}   login: {standalone.username} / "
            f"{standalone.password}",
            f"All in {time.monotonic() - begun:.0f} s.",
        )
        if keep:
            _say("Running until Ctrl-C.")
            standalone.wait()
        else:
            _say("Stopping; `make demo KEEP=1` leaves it running.")


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _wait_for_flows(api: AirflowApi, dags: Path) -> list[str]:
    """One line for each DAG, once as many are there as files in the folder."""
    expected = len(list(dags.glob("*.py")))
    deadline = time.monotonic() + _PARSE_SECONDS
    while time.monotonic() < deadline:
        found = api.get("/api/v2/dags", {"limit": 100})["dags"]
        errors = api.get("/api/v2/importErrors")["import_errors"]
        if errors:
            texts = "\n".join(f"{e['filename']}:\n{e['stack_trace']}" for e in errors)
            raise DemoError(f"Airflow could not import every flow:\n{texts}")
        if len(found) >= expected:
            return [_describe(dag) for dag in sorted(found, key=lambda dag: str(dag["dag_id"]))]
        time.sleep(_POLL_SECONDS)
    raise DemoError(f"Airflow found fewer than {expected} flows in {_PARSE_SECONDS:g} s.")


def _describe(dag: dict[str, Any]) -> str:
    schedule = dag.get("timetable_summary") or "no schedule"
    return f"{dag['dag_id']:<16} {schedule}"


def _trigger(api: AirflowApi) -> str:
    api.send("PATCH", f"/api/v2/dags/{FLOW}", {"is_paused": False})
    body: dict[str, Any] = {"logical_date": None, "conf": {}}
    return str(api.send("POST", f"/api/v2/dags/{FLOW}/dagRuns", body)["dag_run_id"])


def _follow(api: AirflowApi, run: str) -> None:
    """Print every change of state until the run has ended.

    Raises:
        DemoError: It failed, or took too long.
    """
    path = f"/api/v2/dags/{FLOW}/dagRuns/{quote(run)}"
    seen: dict[tuple[str, int], str] = {}
    begun = time.monotonic()
    while time.monotonic() - begun < _RUN_SECONDS:
        state = api.get(path)["state"]
        tasks = api.get(f"{path}/taskInstances", {"limit": 100})["task_instances"]
        for task in tasks:
            key = (task["task_id"], task["map_index"])
            if task["state"] and seen.get(key) != task["state"]:
                seen[key] = task["state"]
                _say(f"  {time.monotonic() - begun:5.1f} s  {_task_name(task):<44} {task['state']}")
        if state == "success":
            return
        if state == "failed":
            raise DemoError(f"Run {run} failed; see the log of the failed task in Airflow's UI.")
        time.sleep(_POLL_SECONDS)
    raise DemoError(f"Run {run} has not ended after {_RUN_SECONDS:g} s.")


def _task_name(task: dict[str, Any]) -> str:
    if task["map_index"] < 0:
        return str(task["task_id"])
    name = f"{task['task_id']}[{task['map_index']}]"
    label = task.get("rendered_map_index")
    # Until the split's label is known, Airflow shows the index.
    return name if label in (None, str(task["map_index"])) else f"{name}  {label}"


def _show_result(api_url: str, run: str) -> None:
    """Read the run the way anybody would: with the client."""
    from flowsdk.client import Run, metadata, namespace

    metadata(f"airflow@{api_url}")
    namespace(None)
    data = Run(f"{FLOW}/{run}").data
    if data is None:
        raise DemoError(f"The client found no results of run {run}.")
    _say(
        "",
        "Read with the client (states and records from Airflow, artifacts from S3):",
        "  namespace(None)  # also runs of others: Airflow's user has started this one",
        f"  Run('{FLOW}/{run}').data.best      {data.best}",
        f"  Run('{FLOW}/{run}').data.accuracy  {data.accuracy:.4f}",
        f"  Run('{FLOW}/{run}').data.model     {data.model}",
    )
