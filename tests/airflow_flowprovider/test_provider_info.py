from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_flowprovider
from airflow_flowprovider.config import ProviderConfig

INFO = airflow_flowprovider.get_provider_info()


def load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_airflow_accepts_it() -> None:
    schema = Path(airflow.__file__).parent / "provider_info.schema.json"
    jsonschema.validate(INFO, json.loads(schema.read_text()))


@pytest.mark.parametrize("kind", ["operators", "hooks", "triggers"])
def test_the_modules_it_names_exist(kind: str) -> None:
    for entry in INFO[kind]:
        for module in entry["python-modules"]:
            importlib.import_module(module)


def test_the_classes_it_names_exist() -> None:
    for link in INFO["extra-links"]:
        assert load(link)().name
    (connection,) = INFO["connection-types"]
    hook = load(connection["hook-class-name"])
    assert (hook.conn_type, hook.hook_name) == (
        connection["connection-type"],
        connection["hook-name"],
    )


def test_every_setting_is_described() -> None:
    described = INFO["config"]["flowprovider"]["options"]
    assert set(described) == {field.name for field in dataclasses.fields(ProviderConfig)}


def test_the_links_are_those_of_the_operator() -> None:
    links = airflow_flowprovider.FlowStepOperator.operator_extra_links
    names = {f"{type(link).__module__}.{type(link).__qualname__}" for link in links}
    assert names == set(INFO["extra-links"])


def test_asking_for_it_imports_no_airflow() -> None:
    script = (
        "import sys, airflow_flowprovider; airflow_flowprovider.get_provider_info(); "
        "sys.exit('airflow' in sys.modules or 'boto3' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_public_names_are_there_and_others_are_not() -> None:
    for name in airflow_flowprovider.__all__:
        assert getattr(airflow_flowprovider, name)
    with pytest.raises(AttributeError, match="no attribute 'flow_dags'"):
        _ = airflow_flowprovider.flow_dags


def test_the_entry_points_lead_somewhere() -> None:
    entries = distribution("airflow-flowprovider").entry_points
    groups = {entry.group: entry for entry in entries}
    assert {"apache_airflow_provider", "airflow.plugins", "airflow.policy"} <= set(groups)
    for entry in entries:
        assert entry.load()
    assert groups["apache_airflow_provider"].load()() == INFO
