"""The plugin that Airflow loads (entry point ``airflow.plugins``)."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

URL_PREFIX = "/flowprovider"


class FlowProviderPlugin(AirflowPlugin):
    """Routes of the API server for the client of flowsdk."""

    name = "flowprovider"
    fastapi_apps: ClassVar[list[dict[str, Any]]] = []


def _install() -> None:
    """Add the routes where Airflow's API server is installed; a worker may have the SDK alone."""
    try:
        from airflow_flowprovider.ui.api import app
    except ImportError:
        return
    FlowProviderPlugin.fastapi_apps = [
        {"app": app, "url_prefix": URL_PREFIX, "name": "Flow records"}
    ]


_install()
