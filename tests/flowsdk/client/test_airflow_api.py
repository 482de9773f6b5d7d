from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from flowsdk.client import airflow_api
from flowsdk.client.airflow_api import AirflowApi, ApiError
from tests.flowsdk.client.fake_airflow import FakeAirflow, serve

DAGS = {"tags": "flow"}


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    monkeypatch.setattr(airflow_api, "_RETRY_AFTER_SECONDS", (0.0, 0.0))
    with serve() as server:
        server.dags = [f"Flow{number:03}" for number in range(250)]
        yield server


@pytest.fixture
def api(airflow: FakeAirflow) -> AirflowApi:
    return AirflowApi(airflow.url)


def test_nobody_to_name(api: AirflowApi, airflow: FakeAirflow) -> None:
    assert api.get("/api/v2/dags/Flow001") == {"dag_id": "Flow001"}
    assert api.get("/api/v2/dags/Flow002") == {"dag_id": "Flow002"}
    assert airflow.take() == [
        "GET /auth/token",
        "GET /api/v2/dags/Flow001",
        "GET /api/v2/dags/Flow002",
    ]


def test_user_and_password(
    api: AirflowApi, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.users = {"alice": "secret"}
    monkeypatch.setenv("FLOWSDK_AIRFLOW_USERNAME", "alice")
    monkeypatch.setenv("FLOWSDK_AIRFLOW_PASSWORD", "secret")
    assert api.get("/api/v2/dags/Flow001")
    assert airflow.bodies[0] == {"username": "alice", "password": "secret"}


def test_an_expired_token_is_replaced_once(
    api: AirflowApi, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.users = {"alice": "secret"}
    monkeypatch.setenv("FLOWSDK_AIRFLOW_TOKEN", "old")
    monkeypatch.setenv("FLOWSDK_AIRFLOW_USERNAME", "alice")
    monkeypatch.setenv("FLOWSDK_AIRFLOW_PASSWORD", "secret")
    airflow.tokens = ["old"]
    assert api.get("/api/v2/dags/Flow001")
    assert airflow.take() == ["GET /api/v2/dags/Flow001"]
    airflow.tokens = []
    assert api.get("/api/v2/dags/Flow001")
    assert airflow.take() == [
        "GET /api/v2/dags/Flow001",
        "POST /auth/token",
        "GET /api/v2/dags/Flow001",
    ]


@pytest.mark.parametrize(
    ("token", "username", "found"),
    [
        (None, None, "found no credentials"),
        (None, "bob", "found user 'bob'"),
        ("bad", None, "found a FLOWSDK_AIRFLOW_TOKEN that has expired"),
    ],
)
def test_a_refused_log_in_says_what_to_set(
    api: AirflowApi,
    airflow: FakeAirflow,
    monkeypatch: pytest.MonkeyPatch,
    token: str | None,
    username: str | None,
    found: str,
) -> None:
    airflow.users = {"alice": "secret"}
    if token:
        monkeypatch.setenv("FLOWSDK_AIRFLOW_TOKEN", token)
    if username:
        monkeypatch.setenv("FLOWSDK_AIRFLOW_USERNAME", username)
    with pytest.raises(ApiError, match=f"{found}.*Set FLOWSDK_AIRFLOW_TOKEN"):
        api.get("/api/v2/dags/Flow001")


def test_what_is_not_there_is_none(api: AirflowApi, airflow: FakeAirflow) -> None:
    assert api.get("/api/v2/dags/Other") is None
    assert api.get("/api/v2/nonsense") is None
    airflow.plugin = False
    assert api.get("/flowprovider/api/dags/Flow001/xcoms") is None


def test_a_list_that_is_not_there_is_an_error_unless_it_may_be_missing(
    api: AirflowApi, airflow: FakeAirflow
) -> None:
    with pytest.raises(ApiError, match="found no such route or resource, expected a list of dags"):
        api.get_pages("/api/v2/nonsense", "dags", {}, 10)
    with pytest.raises(ApiError, match="expected a list of dag_runs. Check that the address"):
        list(api.pages("/api/v2/nonsense/list", "dag_runs", {}, 10))
    assert api.pages_if_there("/api/v2/nonsense/list", "dag_runs", {}, 10) is None
    airflow.failures = [403]
    with pytest.raises(ApiError, match="403"):
        api.pages_if_there("/api/v2/nonsense/list", "dag_runs", {}, 10)


def test_pages_of_a_get_are_capped_by_the_server(api: AirflowApi, airflow: FakeAirflow) -> None:
    found = api.get_pages("/api/v2/dags", "dags", DAGS, 1000)
    assert [dag["dag_id"] for dag in found] == airflow.dags
    assert len(airflow.take()) == 1 + 3


def test_a_passing_failure_is_tried_again(api: AirflowApi, airflow: FakeAirflow) -> None:
    airflow.failures = [503, 429]
    assert api.get("/api/v2/dags/Flow001")


def test_a_change_is_sent_again_only_if_it_has_not_been_carried_out(
    api: AirflowApi, airflow: FakeAirflow
) -> None:
    assert api.get("/api/v2/dags/Flow001")
    path = "/api/v2/dags/Flow001/dagRuns/r/taskInstances/start/xcomEntries"
    airflow.take()
    airflow.failures = [502, 429]
    with pytest.raises(ApiError, match="502"):
        api.send("POST", path, {})
    assert len(airflow.take()) == 1
    airflow.failures = [503, 429, 403]
    with pytest.raises(ApiError, match="403"):
        api.send("POST", path, {})
    assert len(airflow.take()) == 3


def test_a_lasting_failure_is_told(api: AirflowApi, airflow: FakeAirflow) -> None:
    airflow.failures = [503, 503, 503]
    with pytest.raises(ApiError, match="503 Service Unavailable: made up") as caught:
        api.get("/api/v2/dags/Flow001")
    assert caught.value.status == 503
    airflow.failures = [403]
    with pytest.raises(ApiError, match=r"GET http://.*/Flow001: 403 Forbidden: made up"):
        api.get("/api/v2/dags/Flow001")


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_api, "_RETRY_AFTER_SECONDS", (0.0,))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ApiError, match=f"127.0.0.1:{port} cannot be reached.*refused"):
        AirflowApi(f"http://127.0.0.1:{port}").get("/api/v2/dags")
