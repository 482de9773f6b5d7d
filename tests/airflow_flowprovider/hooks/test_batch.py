from __future__ import annotations

import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from airflow.providers.amazon.aws.hooks.base_aws import SessionFactory

from airflow_flowprovider.hooks.batch import FlowBatchHook
from flowsdk.aws_batch.jobs import BatchUnanswered


def test_it_is_what_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FLOWS", "aws://?region_name=eu-west-1")
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__AWS_CONN_ID", "flows")
    hook = FlowBatchHook.configured()
    assert hook.region == "eu-west-1"
    assert hook.conn.meta.service_model.service_name == "batch"
    assert hook.jobs is hook.jobs
    assert hook.log_client().meta.service_model.service_name == "logs"
    assert hook.log_client().meta.region_name == "eu-west-1"
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__REGION_NAME", "us-west-2")
    assert FlowBatchHook.configured().region == "us-west-2"


def test_a_client_that_was_throttled_once_is_not_slow_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FLOWS", "aws://")
    retries = FlowBatchHook("flows").conn.meta.config.retries
    assert retries == {"mode": "standard", "total_max_attempts": 8}


def test_what_the_connection_says_of_the_clients_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"config_kwargs": {"read_timeout": 7, "proxies": {"http": "http://localhost:1"}}}
    monkeypatch.setenv("AIRFLOW_CONN_FLOWS", json.dumps({"conn_type": "aws", "extra": extra}))
    hook = FlowBatchHook("flows")
    for client in (hook.conn, hook.submit_client(), hook.log_client()):
        assert client.meta.config.read_timeout == 7
        assert client.meta.config.proxies == {"http": "http://localhost:1"}
    assert hook.conn.meta.config.retries == {"mode": "standard", "total_max_attempts": 8}
    assert hook.submit_client().meta.config.retries["total_max_attempts"] == 1


def test_clients_say_whose_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FLOWS", "aws://")
    agent = FlowBatchHook("flows").conn.meta.config.user_agent_extra
    assert "Caller/FlowBatchHook" in agent
    assert "AmPP/" in agent


def test_its_clients_share_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[boto3.Session] = []
    make = SessionFactory.create_session

    def create_session(self: SessionFactory, **how: Any) -> Any:
        made.append(make(self, **how))
        return made[-1]

    monkeypatch.setenv("AIRFLOW_CONN_FLOWS", "aws://")
    monkeypatch.setattr(SessionFactory, "create_session", create_session)
    hook = FlowBatchHook("flows")
    assert hook.conn is not hook.submit_client()
    assert len(made) == 1


def test_submissions_are_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that hangs up after reading each request counts what it has been sent."""
    received: list[str] = []

    class HangUp(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.path)
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    monkeypatch.setattr("flowsdk.aws_batch.jobs._LOOK_AGAIN_SECONDS", ())
    monkeypatch.setattr("flowsdk.aws_batch.jobs._SUBMIT_TRIES", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), HangUp) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        extra = json.dumps({"region_name": "eu-west-1", "endpoint_url": endpoint})
        connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_FLOWS", json.dumps(connection))
        with pytest.raises(BatchUnanswered):
            FlowBatchHook("flows").jobs.submit(
                {"jobName": "n", "jobQueue": "q", "jobDefinition": "d"}, {}
            )
        server.shutdown()
    assert received == ["/v1/submitjob"]
