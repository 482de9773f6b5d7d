"""A running Airflow as the end-to-end tests see it: through its public API, its CLI and its DB."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import boto3
import psycopg2
from psycopg2.extras import register_default_json, register_default_jsonb

from airflow_flowprovider.local.standalone import Standalone

ROOT = Path(__file__).parents[2]
#: Prints every task of a run with its artifacts.
_READ = """
import json
from flowsdk import Run, namespace
namespace(None)
found = {{
    f"{{step.id}}/{{task.id}}": {{artifact.id: artifact.sha for artifact in task}}
    for step in Run("{pathspec}")
    for task in step
}}
print(json.dumps(found))
"""
ENDED = {"success", "failed"}
#: How many splits of a foreach this Airflow maps at most; the default is 1024.
MAX_MAP_LENGTH = 6


def until(what: str, check: Callable[[], Any], seconds: float = 120, every: float = 0.3) -> Any:
    """Wait until ``check`` returns something true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {what}")


class Airflow:
    """A standalone Airflow with the embedded AWS."""

    def __init__(self, standalone: Standalone, dags: Path) -> None:
        self.standalone = standalone
        self.dags = dags
        self._token = standalone.token()

    # -- the public API

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = Request(
            f"{self.standalone.api_url}/api/v2{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()!r}") from error

    def trigger(self, dag: str, conf: Mapping[str, Any] | None = None) -> str:
        until(f"{dag} is parsed", lambda: dag in self.dag_ids())
        self.call("PATCH", f"/dags/{dag}", {"is_paused": False})
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.call("POST", f"/dags/{dag}/dagRuns", body)["dag_run_id"])

    def dag_ids(self) -> set[str]:
        found: set[str] = set()
        while True:
            page = self.call("GET", f"/dags?limit=100&offset={len(found)}")
            found |= {dag["dag_id"] for dag in page["dags"]}
            if len(found) >= page["total_entries"]:
                return found

    def run_state(self, dag: str, run: str) -> str:
        return str(self.call("GET", f"/dags/{dag}/dagRuns/{quote(run)}")["state"])

    def wait(self, dag: str, run: str, seconds: float = 240) -> str:
        """The state that a run ends in."""

        def ended() -> str | None:
            state = self.run_state(dag, run)
            return state if state in ENDED else None

        try:
            return str(until(f"{dag} {run} has ended", ended, seconds))
        except AssertionError as error:
            states = {(t["task_id"], t["map_index"]): t["state"] for t in self.tasks(dag, run)}
            raise AssertionError(f"{error}: {states}") from None

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        path = f"/dags/{dag}/dagRuns/{quote(run)}/taskInstances?limit=100"
        return list(self.call("GET", path)["task_instances"])

    def task(self, dag: str, run: str, step: str, index: int = -1) -> dict[str, Any]:
        found = [
            t for t in self.tasks(dag, run) if t["task_id"] == step and t["map_index"] == index
        ]
        assert found, f"no task instance {step}[{index}]"
        return found[0]

    def failures(self, dag: str, run: str) -> str:
        """The states of a run's tasks, and the ends of the logs of those that have failed."""
        told = []
        for task in self.tasks(dag, run):
            step, index = task["task_id"], task["map_index"]
            told.append(f"{step}[{index}]: {task['state']}")
            if task["state"] == "failed":
                told += self.log(dag, run, step, task["try_number"], index)[-30:]
        return "\n".join(told)

    def log(self, dag: str, run: str, step: str, attempt: int = 1, index: int = -1) -> list[str]:
        """The lines of a task's log, as Airflow's UI gets them."""
        path = f"/dags/{dag}/dagRuns/{quote(run)}/taskInstances/{step}/logs/{attempt}"
        content = self.call("GET", f"{path}?map_index={index}&full_content=true")["content"]
        return [
            str(line.get("event", "")) if isinstance(line, dict) else str(line) for line in content
        ]

    def clear(self, dag: str, run: str, step: str, downstream: bool = True) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": run,
            "task_ids": [step],
            "include_downstream": downstream,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self.call("POST", f"/dags/{dag}/clearTaskInstances", body)

    def mark(self, dag: str, run: str, step: str, state: str) -> None:
        path = f"/dags/{dag}/dagRuns/{quote(run)}/taskInstances/{step}"
        self.call("PATCH", path, {"new_state": state})

    # -- behind it

    def cli(self, *arguments: str) -> str:
        """What an ``airflow`` command prints."""
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.standalone.env,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of Airflow's metadata database; ``?`` stands for a value, JSON is text."""
        url = self.standalone.env.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
        if url is None:
            path = Path(self.standalone.env["AIRFLOW_HOME"]) / "airflow.db"
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as connection:
                return connection.execute(query, values).fetchall()
        with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection:
            for register in (register_default_json, register_default_jsonb):
                register(connection, loads=str)
            with connection.cursor() as cursor:
                cursor.execute(query.replace("%", "%%").replace("?", "%s"), values)
                return list(cursor.fetchall())

    def client(self, service: str) -> Any:
        """A boto3 client of the embedded AWS."""
        return boto3.client(service, endpoint_url=self.standalone.aws.endpoint_url)

    def jobs(self, name: str = "") -> list[dict[str, Any]]:
        """All Batch jobs whose name begins so."""
        filters = [{"name": "JOB_NAME", "values": [f"{name}*"]}]
        pages = self.client("batch").get_paginator("list_jobs")
        return [
            job
            for page in pages.paginate(jobQueue="flows", filters=filters)
            for job in page["jobSummaryList"]
        ]

    def keys(self, prefix: str) -> list[str]:
        """Keys in the datastore below ``prefix``."""
        pages = self.client("s3").get_paginator("list_objects_v2")
        return [
            item["Key"].removeprefix("flowsdk/")
            for page in pages.paginate(Bucket="flows", Prefix=f"flowsdk/{prefix}")
            for item in page.get("Contents", ())
        ]

    def read_with_client(self, script: str, **more: str) -> str:
        """What a script prints that uses ``flowsdk.client`` the way a data scientist does.

        ``more`` is added to its environment.
        """
        env = {
            **{k: v for k, v in self.standalone.env.items() if k.startswith(("AWS_", "PATH", "PYTHON"))},
            "FLOWSDK_METADATA": f"airflow@{self.standalone.api_url}",
            "FLOWSDK_AIRFLOW_USERNAME": self.standalone.username,
            "FLOWSDK_AIRFLOW_PASSWORD": self.standalone.password,
            "FLOWSDK_USER": self.standalone.username,  # whose runs they are
            **more,
        }  # fmt: skip
        return python(["-c", script], env)

    def artifacts(self, flow: str, run: str) -> dict[str, dict[str, str]]:
        """The artifacts of every task of a run, each as the digest of its content."""
        script = _READ.format(pathspec=f"{flow}/{run}")
        return dict(json.loads(self.read_with_client(script)))

    def artifacts_locally(self, file: str, flow: str, folder: Path) -> dict[str, dict[str, str]]:
        """The same of a laptop's run of a flow in ``dags/<file>``."""
        root = "s3://flows/laptop"  # for @batch
        self.run_locally(file, "--run-id-file", str(folder / "run"), root=root)
        script = _READ.format(pathspec=f"{flow}/{(folder / 'run').read_text('utf-8')}")
        aws = {k: v for k, v in self.standalone.env.items() if k.startswith("AWS_")}
        return dict(json.loads(python(["-c", script], {**aws, "FLOWSDK_DATASTORE": root})))

    def run_locally(self, file: str, *arguments: str, root: str) -> str:
        """``python dags/<file> run …`` with the embedded AWS in its environment."""
        env = {
            **{k: v for k, v in self.standalone.env.items() if k.startswith(("AWS_", "PATH", "PYTHON"))},
            "FLOWSDK_DATASTORE": root,
            "FLOWSDK_BATCH_QUEUE": "flows",
            "FLOWSDK_BATCH_IMAGE": "python:3",
        }  # fmt: skip
        return python([str(self.dags / file), "run", *arguments], env)


def python(arguments: list[str], env: Mapping[str, str]) -> str:
    """What ``python …`` prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/tmp", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout
