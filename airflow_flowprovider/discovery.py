"""A flow file in the dags folder becomes a DAG, with no further line in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary
from zipfile import ZipFile

from airflow.sdk import DAG
from airflow.sdk.definitions._internal.contextmanager import DagContext
from airflow.utils.file import might_contain_dag_via_default_heuristic

from airflow_flowprovider.compiler import compile_flow
from flowsdk.exception import FlowException
from flowsdk.flow import graph_of

if TYPE_CHECKING:
    from flowsdk.flow import FlowSpec

#: The DAG that each flow class of the import in progress was registered with.
_registered: WeakKeyDictionary[type, DAG] = WeakKeyDictionary()


def might_contain_flow(file_path: str, zip_file: ZipFile | None = None) -> bool:
    """Airflow's ``[core] might_contain_dag_callable``: also files that use flowsdk.

    Args:
        file_path: The file, or its name in the archive.
        zip_file: The archive, if it is in one.
    """
    if might_contain_dag_via_default_heuristic(file_path, zip_file):
        return True
    content = zip_file.read(file_path) if zip_file else Path(file_path).read_bytes()
    return b"flowsdk" in content and b"FlowSpec" in content


def compile_on_import(flow: type[FlowSpec]) -> None:
    """Add a flow's DAG to the DAG file import in progress, if the flow is defined in that file.

    Called when the class is defined and again by each of its decorators. What is wrong with a flow
    is raised when Airflow validates the DAG, not here: a base class may be incomplete, and then a
    subclass takes its place; and so the rest of the file is imported too.

    Args:
        flow: The class.
    """
    module_name = DagContext.current_autoregister_module_name
    if module_name is None or flow.__module__ != module_name:
        return
    module = sys.modules[module_name]
    for base in flow.__mro__:
        registered = _registered.pop(base, None)
        if registered is not None:
            DagContext.autoregistered_dags.discard((registered, module))
    if not _is_complete(flow):
        return
    try:
        dag = compile_flow(flow)
    except (FlowException, OSError, ValueError, TypeError) as error:
        dag = IllFormedFlow(dag_id=flow.__name__)
        dag.flow_error = error
    _registered[flow] = dag
    DagContext.autoregistered_dags.add((dag, module))


def withdraw(flow: type[FlowSpec]) -> None:
    """Undo :func:`compile_on_import`, for a flow that its file makes a DAG of by itself."""
    registered = _registered.pop(flow, None)
    module = sys.modules.get(flow.__module__)
    if registered is not None and module is not None:
        DagContext.autoregistered_dags.discard((registered, module))


class IllFormedFlow(DAG):
    """Stands in for a flow with problems until Airflow validates it; then it raises them."""

    flow_error: Exception

    def validate(self) -> None:
        """Raise what is wrong with the flow; it becomes the import error of the file."""
        raise self.flow_error


def _is_complete(flow: type[FlowSpec]) -> Any:
    """Whether a class is meant to be run: one without start and end is a base class."""
    try:
        graph = graph_of(flow)
    except OSError:
        return True  # its source is missing, which compiling it will say
    return len(graph) and (graph.start is not None or graph.end is not None)
