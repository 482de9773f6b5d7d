from __future__ import annotations

import subprocess
import sys

from airflow.plugins_manager import AirflowPlugin

from airflow_flowprovider.ui.plugin import URL_PREFIX, FlowProviderPlugin


def test_airflow_loads_the_plugin() -> None:
    assert issubclass(FlowProviderPlugin, AirflowPlugin)
    FlowProviderPlugin.validate()
    (app,) = FlowProviderPlugin.fastapi_apps
    assert app["url_prefix"] == URL_PREFIX


def test_processes_that_answer_no_requests_do_not_load_the_web_server() -> None:
    script = (
        "import sys, airflow.plugins_manager; import airflow_flowprovider.ui.plugin; "
        "sys.exit('fastapi' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
