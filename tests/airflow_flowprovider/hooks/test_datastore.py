from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from botocore.stub import Stubber

from airflow_flowprovider.hooks.datastore import FlowDatastoreHook
from flowsdk.exception import UsageError


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Any:
    def define(conn_type: str = "flowprovider", **extra: Any) -> None:
        value = json.dumps({"conn_type": conn_type, "extra": extra})
        monkeypatch.setenv("AIRFLOW_CONN_FLOWS", value)

    return define


def test_the_root_is_the_connections(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__DATASTORE", "s3://configured/prefix")
    connection(datastore="s3://own/prefix/")
    hook = FlowDatastoreHook("flows")
    assert hook.root == "s3://own/prefix"
    store = hook.store("MyFlow")
    assert store.flow == "MyFlow"
    assert store.storage.uri("k") == "s3://own/prefix/k"
    assert FlowDatastoreHook("flows", root="s3://given").root == "s3://given"


@pytest.mark.parametrize("extra", [{}, {"datastore": ""}, {"datastore": None}])
def test_else_the_configured_one(
    extra: dict[str, Any], connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__DATASTORE", "s3://configured/prefix")
    connection(**extra)
    assert FlowDatastoreHook("flows").root == "s3://configured/prefix"
    connection("aws")
    assert FlowDatastoreHook("flows").root == "s3://configured/prefix"


@pytest.mark.parametrize("root", ["", "/a/folder"])
def test_a_root_that_jobs_cannot_reach(
    root: str, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__DATASTORE", root)
    connection()
    with pytest.raises(UsageError, match=r"connection 'flows'.*expected s3://bucket/prefix"):
        _ = FlowDatastoreHook("flows").root


def test_fields_of_the_form_that_were_left_empty_do_not_count(connection: Any) -> None:
    connection(region_name="", endpoint_url="", datastore="s3://own")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor is the connection's type a reason to warn
        hook = FlowDatastoreHook("flows")
        assert hook.conn.meta.region_name == "us-east-1"
    assert "amazonaws.com" in hook.conn.meta.endpoint_url


def test_where_the_connection_says_aws_is(connection: Any) -> None:
    connection(region_name="eu-west-1", endpoint_url="http://127.0.0.1:9", datastore="s3://own")
    hook = FlowDatastoreHook("flows")
    assert hook.conn.meta.region_name == "eu-west-1"
    assert hook.conn.meta.endpoint_url == "http://127.0.0.1:9"


def test_the_button_in_the_connection_form(connection: Any) -> None:
    connection(datastore="s3://own/p")
    hook = FlowDatastoreHook("flows")
    assert hook.get_connection("flows").conn_type == "aws"
    with Stubber(hook.conn) as stub:
        stub.add_client_error("list_objects_v2", "AccessDenied", "not yours")
        works, message = hook.test_connection()
        assert not works
        assert "not yours" in message
        stub.add_response("list_objects_v2", {"CommonPrefixes": [{"Prefix": "p/MyFlow/"}]})
        assert hook.test_connection() == (True, "s3://own/p can be read; flows with data: 1")
