from __future__ import annotations

import pytest

from airflow_flowprovider.hooks.batch import FlowBatchHook


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
