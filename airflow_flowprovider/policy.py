"""What has to happen early in every Airflow process; Airflow loads this module as a policy plugin.

Three things: Airflow learns to look into flow files, flow classes learn to become DAGs, and modules
that only their steps need may be missing. All are cheap here; the work is done when a flow file is really imported.
"""

from __future__ import annotations

import sys

from airflow.configuration import conf

from airflow_flowprovider import placeholders
from flowsdk.registry import register_compiler

_DEFAULT_CALLABLE = "airflow.utils.file.might_contain_dag_via_default_heuristic"
_OWN_CALLABLE = "airflow_flowprovider.discovery.might_contain_flow"
_IMPORT_CONTEXT = "airflow.sdk.definitions._internal.contextmanager"


def install() -> None:
    """Let Airflow find flows in this process. Doing it twice does no harm."""
    # Airflow's default wants the words "airflow" and "dag" in a file, which a flow need not have.
    # A provider's own defaults cannot replace Airflow's, so the setting is changed in place, and
    # only where the user has left it alone.
    if conf.get("core", "might_contain_dag_callable", fallback="") == _DEFAULT_CALLABLE:
        conf.set("core", "might_contain_dag_callable", _OWN_CALLABLE)
    register_compiler(_compile)
    placeholders.install()


def _compile(flow: type) -> None:
    # Without this module nobody imports DAG files; and a flow that is defined in any other file, or
    # while Airflow runs something else, is none of Airflow's business.
    imports = sys.modules.get(_IMPORT_CONTEXT)
    if imports and imports.DagContext.current_autoregister_module_name == flow.__module__:
        from airflow_flowprovider.discovery import compile_on_import

        compile_on_import(flow)


install()
