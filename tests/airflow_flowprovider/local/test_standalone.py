"""A real Airflow around the embedded AWS, started, used and taken down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_flowprovider.local.guardian import descendants
from airflow_flowprovider.local.server import LocalServerError
from airflow_flowprovider.local.standalone import Standalone
from tests.airflow_flowprovider.local.conftest import client, wait_for
from tests.airflow_flowprovider.local.test_processes import alive

DAG_FILE = """
import boto3
from airflow.sdk import dag, task

@dag
def writes():
    @task
    def write():
        boto3.client("s3").put_object(Bucket="flows", Key="from-airflow", Body=b"hello")
    write()

writes()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standalone")
    (folder / "dags").mkdir()
    (folder / "dags" / "writes.py").write_text(DAG_FILE)
    return folder


@pytest.fixture(scope="module")
def standalone(folder: Path) -> Iterator[Standalone]:
    fast = {"AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2"}
    before = set(descendants(os.getpid()))
    with Standalone(folder / "dags", folder / "state", extra_env=fast) as instance:
        started = set(descendants(os.getpid())) - before
        yield instance
    assert len(started) > 5
    assert not any(map(alive, started))


def _call(standalone: Standalone, method: str, path: str, body: Any = None) -> dict[str, Any]:
    request = urllib.request.Request(
        standalone.api_url + "/api/v2" + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {standalone.token()}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


@pytest.mark.e2e
@pytest.mark.slow
def test_a_dag_runs_and_reaches_the_embedded_aws(standalone: Standalone) -> None:
    wait_for(lambda: _call(standalone, "GET", "/dags")["total_entries"] == 1)
    _call(standalone, "PATCH", "/dags/writes", {"is_paused": False})
    run = _call(standalone, "POST", "/dags/writes/dagRuns", {"logical_date": None})
    path = f"/dags/writes/dagRuns/{run['dag_run_id']}"

    def ended() -> str | None:
        state = _call(standalone, "GET", path)["state"]
        return state if state in {"success", "failed"} else None

    assert wait_for(ended) == "success"
    stored = client(standalone.aws, "s3").get_object(Bucket="flows", Key="from-airflow")
    assert stored["Body"].read() == b"hello"


@pytest.mark.e2e
@pytest.mark.slow
def test_a_folder_in_use_is_refused(standalone: Standalone, folder: Path) -> None:
    with pytest.raises(LocalServerError, match="in use by another instance"):
        Standalone(folder / "dags", folder / "state").start()


@pytest.mark.e2e
@pytest.mark.slow
def test_the_environment_has_what_the_provider_needs(standalone: Standalone, folder: Path) -> None:
    env = standalone.env
    assert env["AIRFLOW__CORE__DAGS_FOLDER"] == str(folder / "dags")
    assert env["AIRFLOW__FLOWPROVIDER__DATASTORE"] == "s3://flows/flowsdk"
    assert env["AIRFLOW__FLOWPROVIDER__JOB_QUEUE"] == "flows"
    assert env["AIRFLOW_CONN_AWS_DEFAULT"] == "aws://"
    assert env["AWS_ENDPOINT_URL"] == standalone.aws.endpoint_url
    ports = [value for name, value in env.items() if name.endswith("_PORT")]
    assert len(ports) == len(set(ports)) == 3


@pytest.mark.e2e
@pytest.mark.slow
def test_nothing_survives_a_command_that_is_killed(folder: Path, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "airflow_flowprovider.local", "standalone"]
    argv += ["--port", "0", "--aws-port", "0", "--dags", str(folder / "dags")]
    with subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as process:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C ends both." not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        below = descendants(process.pid)
        process.kill()
    assert "Log in as       admin, password " in said
    assert len(below) > 5
    wait_for(lambda: not any(map(alive, below)))


def test_a_missing_dags_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="--dags"):
        Standalone(tmp_path / "nope", tmp_path / "state").start()
    assert not (tmp_path / "state").exists()
