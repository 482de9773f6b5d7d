"""The plugin's routes in Airflow's own API application, with its own users."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.app import create_app, get_auth_manager, purge_cached_app
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dagbag import DBDagBag
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from fastapi.testclient import TestClient

from airflow_flowprovider.compiler import compile_flow
from airflow_flowprovider.records import RECORD_KEY
from airflow_flowprovider.ui.api import MAX_PAGE
from airflow_flowprovider.ui.plugin import URL_PREFIX
from flowsdk import FlowSpec, step

RUNS = ("manual__2026-11-21T09:00:00+00:00", "second~run+1")
RECORDS = f"{URL_PREFIX}/api/dags/ReadFlow/records"


class ReadFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


class SecretFlow(ReadFlow):
    pass


def record(flow: str, run: str, task: str) -> dict[str, Any]:
    return {"flow": flow, "run": run, "step": task, "artifacts": {"ä": {"size": 3}}}


@pytest.fixture(scope="module")
def runs(airflow_db: None) -> None:
    """Two runs of both flows; each of their tasks has left a record and another XCom."""
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(collect_dags=False, bundle_name="dags-folder")
    for flow in (ReadFlow, SecretFlow):
        dag = compile_flow(flow)
        dag.relative_fileloc = "flows.py"
        bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    now = datetime.now(timezone.utc)
    with create_session() as session:
        for flow in ("ReadFlow", "SecretFlow"):
            for run in RUNS:
                DBDagBag().get_latest_version_of_dag(flow, session=session).create_dagrun(
                    run_id=run,
                    run_after=now,
                    run_type=DagRunType.MANUAL,
                    triggered_by=DagRunTriggeredByType.TEST,
                    state=DagRunState.RUNNING,
                    session=session,
                )
                for task in ("start", "end"):
                    values = {RECORD_KEY: record(flow, run, task), "return_value": [0, 1]}
                    for key, value in values.items():
                        XComModel.set(
                            key,
                            value,
                            dag_id=flow,
                            run_id=run,
                            task_id=task,
                            serialize=False,  # as Airflow's API for tasks calls it
                            session=session,
                        )


@pytest.fixture(scope="module")
def client(runs: None) -> Iterator[TestClient]:
    """Of a user who is logged in."""
    purge_cached_app()
    with TestClient(create_app()) as client:
        passwords = Path(get_auth_manager().get_generated_password_file())
        password = json.loads(passwords.read_text())["admin"]
        answer = client.post("/auth/token", json={"username": "admin", "password": password})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client
    purge_cached_app()


def rows(client: TestClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(RECORDS, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["records"]


def test_the_records_of_a_run(client: TestClient) -> None:
    assert rows(client, run_id=RUNS[0]) == [
        {
            "run_id": RUNS[0],
            "task_id": task,
            "map_index": -1,
            "record": record("ReadFlow", RUNS[0], task),
        }
        for task in ("end", "start")
    ]


def test_the_records_of_several_runs_page_by_page(client: TestClient) -> None:
    everything = rows(client, run_id=RUNS)
    assert [(row["run_id"], row["task_id"]) for row in everything] == [
        (run, task) for run in RUNS for task in ("end", "start")
    ]
    assert rows(client, run_id=RUNS, limit=3) == everything[:3]
    assert rows(client, run_id=RUNS, limit=3, offset=3) == everything[3:]


def test_an_unknown_run_has_none(client: TestClient) -> None:
    assert rows(client, run_id="unknown") == []


@pytest.mark.parametrize(
    "query",
    [{}, {"run_id": "r", "limit": MAX_PAGE + 1}, {"run_id": "r", "limit": 0},
     {"run_id": "r", "offset": -1}],
)  # fmt: skip
def test_senseless_questions_are_refused(client: TestClient, query: dict[str, Any]) -> None:
    assert client.get(RECORDS, params=query).status_code == 422


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense"])
def test_strangers_see_nothing(client: TestClient, authorization: str) -> None:
    headers = {"Authorization": authorization}
    answer = client.get(RECORDS, params={"run_id": RUNS[0]}, headers=headers)
    assert answer.status_code in (401, 403)
    assert "records" not in answer.json()


def test_airflow_decides_who_sees_which_dag(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def only_read_flow(*, method: str, access_entity: Any, details: Any, **_: Any) -> bool:
        asked.append((method, access_entity.name))
        return details.id == "ReadFlow"

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", only_read_flow)
    assert rows(client, run_id=RUNS[0])
    secret = client.get(RECORDS.replace("ReadFlow", "SecretFlow"), params={"run_id": RUNS[0]})
    assert secret.status_code == 403
    assert asked == [("GET", "XCOM")] * 2
