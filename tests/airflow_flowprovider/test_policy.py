from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from types import ModuleType

import pytest
from airflow.configuration import conf

from airflow_flowprovider import policy

OWN = "airflow_flowprovider.discovery.might_contain_flow"


def test_airflow_looks_into_flow_files() -> None:
    policy.install()
    assert conf.get("core", "might_contain_dag_callable") == OWN


def test_a_users_choice_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MIGHT_CONTAIN_DAG_CALLABLE", "their.callable")
    policy.install()
    assert conf.get("core", "might_contain_dag_callable") == "their.callable"


def test_airflow_may_ask_for_modules_while_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    policy.install()
    half = ModuleType("contextmanager")
    monkeypatch.setitem(sys.modules, "airflow.sdk.definitions._internal.contextmanager", half)
    with pytest.raises(ModuleNotFoundError, match="not_installed_x"):
        importlib.import_module("not_installed_x")


def test_other_processes_pay_nothing_for_flows() -> None:
    script = """
        import sys
        from airflow.sdk import DAG
        import airflow_flowprovider.policy
        from flowsdk import FlowSpec, step

        class SomeFlow(FlowSpec):
            @step
            def start(self):
                pass

        loaded = {name for name in sys.modules if name.startswith("airflow_flowprovider.")}
        # Airflow itself asks for the settings when it reads its configuration.
        own = {"airflow_flowprovider." + name for name in ("policy", "config", "placeholders")}
        assert loaded <= own, loaded
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
