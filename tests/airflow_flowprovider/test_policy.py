from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
from airflow.configuration import conf

from airflow_flowprovider import policy
from tests.flowsdk.flows import ROOT

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


def test_a_flow_becomes_a_dag_without_boto3(tmp_path: Path) -> None:
    """Airflow parses each file in a process of its own, which would import it each time."""
    flow = """
        from flowsdk import FlowSpec, batch, step, trigger_on_finish

        @trigger_on_finish(flow="Other")
        class SomeFlow(FlowSpec):
            @batch(cpu=2)
            @step
            def start(self):
                pass
    """
    script = """
        import sys
        from tests.airflow_flowprovider.moved import DagBag
        bag = DagBag(sys.argv[1])
        assert list(bag.dags) == ["SomeFlow"], bag.import_errors
        assert not {"boto3", "botocore"} & set(sys.modules)
    """
    (tmp_path / "flow.py").write_text(textwrap.dedent(flow), "utf-8")
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    subprocess.run(command, check=True, timeout=60, cwd=ROOT)
