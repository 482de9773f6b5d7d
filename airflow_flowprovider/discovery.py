"""A flow file in the dags folder becomes a DAG, with no further line in it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from zipfile import ZipFile

from airflow.sdk import DAG
from airflow.sdk.definitions._internal.contextmanager import DagContext
from airflow.utils.file import might_contain_dag_via_default_heuristic

from airflow_flowprovider.compiler import compile_flow
from flowsdk.exception import FlowException, FlowLintError
from flowsdk.flow import graph_of
from flowsdk.registry import mark_deployed

if TYPE_CHECKING:
    from flowsdk.flow import FlowSpec


@dataclass(frozen=True)
class _Registration:
    """What a flow class has been made into.

    Attributes:
        dag: The DAG.
        module: The DAG file, as imported this time.
    """

    dag: DAG
    module: ModuleType


_registered: dict[type, _Registration] = {}


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
    for other in list(_registered):
        if _gives_way(other, flow, module):
            withdraw(other)
    mark_deployed(flow)
    try:
        if not _is_complete(flow):
            return
        dag = compile_flow(flow)
    except (FlowException, OSError, ValueError, TypeError) as error:
        dag = IllFormedFlow(dag_id=flow.__name__)
        dag.flow_error = error
    _registered[flow] = _Registration(dag, module)
    DagContext.autoregistered_dags.add((dag, module))


def withdraw(flow: type[FlowSpec]) -> None:
    """Undo :func:`compile_on_import`, for a flow that its file makes a DAG of by itself."""
    registration = _registered.pop(flow, None)
    if registration is not None:
        DagContext.autoregistered_dags.discard((registration.dag, registration.module))


class IllFormedFlow(DAG):
    """Stands in for a flow with problems until Airflow validates it; then it raises them."""

    flow_error: Exception

    def validate(self) -> None:
        """Raise what is wrong with the flow; it becomes the import error of the file."""
        # Airflow keeps one import error for each file, the last: so all flows are in each.
        errors = [
            registration.dag.flow_error
            for registration in _registered.values()
            if isinstance(registration.dag, IllFormedFlow)
            and registration.module.__file__ == self.fileloc
        ]
        if len(errors) < 2:
            raise self.flow_error
        # Problems of a base class are those of each of its subclasses.
        problems = {p: None for e in errors if isinstance(e, FlowLintError) for p in e.problems}
        others = [str(error) for error in errors if not isinstance(error, FlowLintError)]
        if not others:
            raise FlowLintError(list(problems))
        raise FlowException("\n".join([*map(str, problems), *others]))


def _gives_way(other: type, flow: type, module: ModuleType) -> bool:
    """Whether a class registered earlier is not, or no longer, a flow of its own."""
    if _registered[other].module is not module:
        # Of another file, which Airflow has dealt with if it has been imported anew.
        return sys.modules.get(other.__module__) is not _registered[other].module
    # Decorators may make a class anew, under its name.
    return issubclass(flow, other) or other.__qualname__ == flow.__qualname__


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
