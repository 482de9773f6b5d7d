from __future__ import annotations

import subprocess
import sys

import pytest
from airflow.exceptions import AirflowConfigException

from airflow_flowprovider.config import CONFIG_OPTIONS, ProviderConfig
from flowsdk.aws_batch.definition import BatchDefaults


def test_defaults() -> None:
    assert ProviderConfig.load() == ProviderConfig(
        datastore=None,
        aws_conn_id="aws_default",
        region_name=None,
        job_queue=None,
        gpu_queues={},
        fargate_queues=(),
        image=None,
        job_role_arn=None,
        execution_role_arn=None,
        sync_window=10.0,
        trigger_hold=10.0,
        poll_interval_min=2.0,
        poll_interval_max=10.0,
        requests_per_second=40.0,
        infrastructure_retries=2,
        project_branch="prod",
        log_group="/aws/batch/job",
    )


def test_every_option_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    own: dict[str, tuple[str, object]] = {
        "gpu_queues": ('{"A10G": "q-a10g"}', {"A10G": "q-a10g"}),
        "fargate_queues": (" one, two ,", ("one", "two")),
    }
    by_type: dict[str, tuple[str, object]] = {"float": ("1.5", 1.5), "integer": ("7", 7)}
    values = {
        name: own.get(name) or by_type.get(option["type"], (f"my-{name}", f"my-{name}"))
        for name, option in CONFIG_OPTIONS.items()
    }
    for name, (text, _) in values.items():
        monkeypatch.setenv(f"AIRFLOW__FLOWPROVIDER__{name.upper()}", text)
    config = ProviderConfig.load()
    assert {name: getattr(config, name) for name in values} == {
        name: value for name, (_, value) in values.items()
    }
    assert config.batch_defaults == BatchDefaults(
        "my-job_queue",
        "my-image",
        "my-job_role_arn",
        "my-execution_role_arn",
        {"A10G": "q-a10g"},
        ("one", "two"),
    )


def test_a_value_of_another_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__SYNC_WINDOW", "soon")
    with pytest.raises(AirflowConfigException, match="sync_window"):
        ProviderConfig.load()


def test_the_options_are_known_without_airflow() -> None:
    script = "import sys, airflow_flowprovider.config; print('airflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_the_settings_are_read_once_for_all_steps_of_a_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_flowprovider.compiler import compile_flow
    from tests.airflow_flowprovider.operators.flows import SampleFlow

    compile_flow(SampleFlow)
    loaded = []
    load = ProviderConfig.load
    monkeypatch.setattr(ProviderConfig, "load", lambda: loaded.append(1) or load())
    assert len(compile_flow(SampleFlow).tasks) > 1
    assert len(loaded) == 1
