"""The plugin's routes in Airflow's own API application, with its own users."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.api_fastapi.app import create_app, get_auth_manager, purge_cached_app
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.models.dagbag import DBDagBag
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from fastapi.testclient import TestClient

from airflow_flowprovider.compiler import compile_flow
from airflow_flowprovider.records import RECORD_KEY, TAGS_KEY
from airflow_flowprovider.ui.api import MAX_PAGE, MAX_RUNS, XComsBody
from airflow_flowprovider.ui.plugin import URL_PREFIX
from flowsdk import FlowSpec, step
from flowsdk.client.airflow_rows import tags_of
from flowsdk.datastore.tags import RunTags
from tests.airflow_flowprovider.moved import AIRFLOW, DagBag, sync_bag_to_db

RUNS = ("manual__2026-11-21T09:00:00+00:00", "second~run+1")
XCOMS = f"{URL_PREFIX}/api/dags/ReadFlow/xcoms/list"


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


def tags(run: str) -> dict[str, Any]:
    return {"schema_version": 2, "user": [run], "system": ["user:ann"]}


@pytest.fixture(scope="module")
def runs(airflow_db: None) -> None:
    """Two runs of both flows; each of their tasks has left a record and another XCom."""
    DagBundlesManager().sync_bundles_to_db()
    bundle = {} if AIRFLOW < (3, 2) else {"bundle_name": "dags-folder"}
    bag = DagBag(collect_dags=False, **bundle)
    for flow in (ReadFlow, SecretFlow):
        dag = compile_flow(flow)
        dag.relative_fileloc = "flows.py"
        bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    now = datetime.now(timezone.utc)
    with create_session() as session:
        for flow in ("ReadFlow", "SecretFlow"):
            for run in RUNS:
                dag = DBDagBag().get_latest_version_of_dag(flow, session=session)
                dag_run = dag.create_dagrun(
                    run_id=run,
                    run_after=now,
                    run_type=DagRunType.MANUAL,
                    triggered_by=DagRunTriggeredByType.TEST,
                    state=DagRunState.RUNNING,
                    session=session,
                )
                for task in ("start", "end"):
                    values = {RECORD_KEY: record(flow, run, task), "return_value": [0, 1]}
                    if task == "start":
                        values[TAGS_KEY] = tags(run)
                    for key, value in values.items():
                        # As Airflow's API for tasks stores them: set() might serialize them again.
                        row = XComModel(key=key, value=value, dag_run_id=dag_run.id)
                        row.dag_id, row.run_id, row.task_id = flow, run, task
                        session.add(row)


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


def rows(client: TestClient, *runs: str, **how: Any) -> list[dict[str, Any]]:
    answer = client.post(XCOMS, json={"run_ids": runs, **how})
    assert answer.status_code == 200, answer.text
    xcoms: list[dict[str, Any]] = answer.json()["xcoms"]
    return xcoms


def row(run: str, task: str, key: str, value: Any) -> dict[str, Any]:
    return {"run_id": run, "task_id": task, "map_index": -1, "key": key, "value": value}


def test_the_records_and_the_tags_of_a_run(client: TestClient) -> None:
    run = RUNS[0]
    assert rows(client, run) == [
        row(run, "end", RECORD_KEY, record("ReadFlow", run, "end")),
        row(run, "start", TAGS_KEY, tags(run)),
        row(run, "start", RECORD_KEY, record("ReadFlow", run, "start")),
    ]


def test_one_kind_of_them(client: TestClient) -> None:
    found = rows(client, *RUNS, keys=[TAGS_KEY])
    assert [(row["run_id"], row["value"]) for row in found] == [(run, tags(run)) for run in RUNS]
    assert {row["key"] for row in rows(client, *RUNS, keys=[RECORD_KEY])} == {RECORD_KEY}


def test_the_xcoms_of_several_runs_page_by_page(client: TestClient) -> None:
    everything = rows(client, *RUNS)
    assert [row["run_id"] for row in everything] == [RUNS[0]] * 3 + [RUNS[1]] * 3
    assert rows(client, *RUNS, page_limit=4) == everything[:4]
    assert rows(client, *RUNS, page_limit=4, page_offset=4) == everything[4:]
    answer = client.post(XCOMS, json={"run_ids": RUNS, "page_limit": 1})
    assert answer.json()["total_entries"] == len(everything)


def test_an_unknown_run_has_none(client: TestClient) -> None:
    assert rows(client, "unknown") == []


def test_the_keys_are_those_that_the_operators_write() -> None:
    assert set(XComsBody(run_ids=["r"]).keys) == {RECORD_KEY, TAGS_KEY}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"run_ids": []},
        {"run_ids": ["r"] * (MAX_RUNS + 1)},
        {"run_ids": ["r"], "page_limit": MAX_PAGE + 1},
        {"run_ids": ["r"], "page_limit": 0},
        {"run_ids": ["r"], "page_offset": -1},
        {"run_ids": ["r"], "keys": ["return_value"]},
        {"run_ids": ["r"], "limit": 1},
    ],
)
def test_senseless_questions_are_refused(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post(XCOMS, json=body).status_code == 422


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense"])
def test_strangers_see_nothing(client: TestClient, authorization: str) -> None:
    headers = {"Authorization": authorization}
    answer = client.post(XCOMS, json={"run_ids": RUNS}, headers=headers)
    assert answer.status_code in (401, 403)
    assert "xcoms" not in answer.json()


def test_airflow_decides_who_sees_which_dag(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def only_read_flow(*, method: str, access_entity: Any, details: Any, **_: Any) -> bool:
        asked.append((method, access_entity.name))
        return bool(details.id == "ReadFlow")

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", only_read_flow)
    assert rows(client, RUNS[0])
    other = XCOMS.replace("ReadFlow", "SecretFlow")
    assert client.post(other, json={"run_ids": RUNS}).status_code == 403
    assert asked == [("GET", "XCOM")] * 2


def test_tags_that_the_client_writes_come_back(client: TestClient) -> None:
    run = RUNS[1]
    path = f"/api/v2/dags/ReadFlow/dagRuns/{quote(run)}/taskInstances/end/xcomEntries"
    value = RunTags(("ä", "good"), ("user:ann",)).to_dict()
    created = client.post(path, json={"key": TAGS_KEY, "value": {}, "map_index": -1})
    assert created.status_code == 201, created.text
    again = client.post(path, json={"key": TAGS_KEY, "value": value, "map_index": -1})
    assert again.status_code == 409
    changed = client.patch(f"{path}/{TAGS_KEY}", json={"value": value, "map_index": -1})
    assert changed.status_code == 200, changed.text
    (found,) = [row for row in rows(client, run, keys=[TAGS_KEY]) if row["task_id"] == "end"]
    assert tags_of(found, found["value"]).tags == RunTags(("ä", "good"), ("user:ann",))
    one = client.get(f"{path}/{TAGS_KEY}", params={"map_index": -1}).json()
    assert tags_of({**found, **one}, one["value"]) == tags_of(found, found["value"])
    client.delete(f"{path}/{TAGS_KEY}")
