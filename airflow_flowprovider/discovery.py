"""A flow file in the dags folder becomes a DAG, with no further line in it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from zipfile import ZipFile

from airflow.sdk import DAG
from airflow.sdk.definitions._internal.contextmanager import DagContext
from airflow.utils.file import might_contain_dag_via_default_heuristic

from airflow_flowprovider import placeholders
from airflow_flowprovider.compiler import compile_flow
from flowsdk.exception import FlowException, FlowLintError
from flowsdk.flow import graph_of
from flowsdk.registry import mark_deployed

if TYPE_CHECKING:
    from flowsdk.flow import FlowSpec


@dataclass(frozen=True)
class _DagFile:
    """What the flow classes of a DAG file have been made into.

    Attributes:
        module: The file, as imported this time.
        dags: Flow class → its DAG.
    """

    module: ModuleType
    dags: dict[type, DAG] = field(default_factory=dict)


#: By the name of the module.
_files: dict[str, _DagFile] = {}


def might_contain_flow(file_path: str, zip_file: ZipFile | None = None) -> bool:
    """Airflow's ``[core] might_contain_dag_callable``: also files that use flowsdk.

    Args:
        file_path: The file, or its name in the archive.
        zip_file: The archive, if it is in one.
    """
    # Airflow asks right before it imports the file, which is not to meet those of the one before.
    placeholders.forget()
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
    if module_name not in _files or _files[module_name].module is not module:
        _files[module_name] = _DagFile(module)
    file = _files[module_name]
    for other in list(file.dags):
        # A base class is no flow of its own. Decorators may make a class anew, under its name.
        if issubclass(flow, other) or other.__qualname__ == flow.__qualname__:
            withdraw(other)
    mark_deployed(flow)
    try:
        if not _is_complete(flow):
            return
        dag = compile_flow(flow)
    except (FlowException, OSError, ValueError, TypeError) as error:
        dag = IllFormedFlow(dag_id=flow.__name__)
        dag.flow_error = error
    file.dags[flow] = dag
    DagContext.autoregistered_dags.add((dag, module))


def withdraw(flow: type[FlowSpec]) -> None:
    """Undo :func:`compile_on_import`, for a flow that its file makes a DAG of by itself."""
    file = _files.get(flow.__module__)
    if file is not None and flow in file.dags:
        DagContext.autoregistered_dags.discard((file.dags.pop(flow), file.module))


class IllFormedFlow(DAG):
    """Stands in for a flow with problems until Airflow validates it; then it raises them."""

    flow_error: Exception

    def validate(self) -> None:
        """Raise what is wrong with the flow; it becomes the import error of the file."""
        # Airflow keeps one import error for each file, the last: so all flows are in each.
        errors = [
            dag.flow_error
            for file in _files.values()
            if file.module.__file__ == self.fileloc
            for dag in file.dags.values()
            if isinstance(dag, IllFormedFlow)
        ]
        if len(errors) < 2:
            raise self.flow_error
        # Problems of a base class are those of each of its subclasses.
        problems = {p: None for e in errors if isinstance(e, FlowLintError) for p in e.problems}
        others = [str(error) for error in errors if not isinstance(error, FlowLintError)]
        if not others:
            raise FlowLintError(list(problems))
        raise FlowException("\n".join([*map(str, problems), *others]))


def _is_complete(flow: type[FlowSpec]) -> bool:
    """Whether a class is meant to be run: one without start and end is a base class."""
    graph = graph_of(flow)
    only = len(graph) == 1
    return any(
        node.is_start
        or node.is_end
        or node.name in ("start", "end")
        # The single step of a flow may have any name.
        or (only and node.transition == "none")
        for node in graph
    )
