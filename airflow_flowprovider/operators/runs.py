"""The RunSpec of a DagRun: made by its start step, read by all others."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_flowprovider.assets import event_parameters, trigger_facts
from airflow_flowprovider.compat import AirflowFailException, AirflowSkipException
from airflow_flowprovider.operators.reuse import Resumption
from airflow_flowprovider.project import deployed_project
from flowsdk import package
from flowsdk.configs import recorded_configs
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.decorators.prepare import decorator_modules
from flowsdk.exception import FlowException, KeyNotFound
from flowsdk.flow import FlowSpec
from flowsdk.include_file import include_files
from flowsdk.parameters import collect_parameters, resolve_parameters
from flowsdk.runtime.task import utc_now
from flowsdk.spec import RunSpec
from flowsdk.version import PYTHON_VERSION, VERSION

if TYPE_CHECKING:
    from airflow_flowprovider.records import TaskInstance
    from flowsdk.graph import FlowGraph, Node

_FACTS = ("logical_date", "data_interval_start", "data_interval_end", "run_after")


def start_run(
    flow: type[FlowSpec],
    store: FlowDatastore,
    context: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
) -> RunSpec:
    """The RunSpec of a run, made if the run has none.

    A start step that runs again finds the first one's: the code of a run is pinned, however the flow
    file has changed since.

    Args:
        flow: The flow class.
        store: Its datastore.
        context: Airflow's context of the start step.
        parameters: Values that win over those of the DagRun.

    Raises:
        ParameterError: The run's parameters are not what the flow declares.
        PackageError: The flow file or a module that it imports cannot be read.
        AirflowFailException: The datastore has a run of this id that was deleted in Airflow, or
            there is no such run as this one is to resume.
    """
    run_id = str(context["run_id"])
    try:
        found = store.read_run(run_id)
    except KeyNotFound:
        store.write_run(_new_run(flow, store, context, parameters or {}))
        # Whoever was first has won, and that may have been another worker.
        return store.read_run(run_id)
    _require_same_run(found, store, context)
    return found


def _require_same_run(found: RunSpec, store: FlowDatastore, context: Mapping[str, Any]) -> None:
    """Refuse what a deleted run of the same id has left: its results would pass for this run's.

    Or what another DAG has that the same flow is a part of.
    """
    other = {tag for tag in found.system_tags if tag.startswith("dag_id:")}
    own = f"dag_id:{context['ti'].dag_id}"
    if other and own not in other:
        raise AirflowFailException(
            f"Run {found.run} of flow {store.flow}: found that of DAG "
            f"{other.pop().removeprefix('dag_id:')}, expected none. Use another run id, or subclass "
            f"the flow under a name of its own for one of the DAGs."
        )
    if _is_of_earlier_run(found, store, context):
        place = store.storage.uri(keys.run(store.flow, found.run))
        raise AirflowFailException(
            f"Run {found.run} of flow {store.flow}: found data of an earlier run of this id, which "
            f"began before this one, expected none. Delete {place} or use another run id."
        )


def _is_of_earlier_run(found: RunSpec, store: FlowDatastore, context: Mapping[str, Any]) -> bool:
    # Only the first try can tell by itself: a run that is cleared begins anew.
    if context["ti"].try_number > 1:
        return store.is_refused(found.run)
    began = getattr(context["dag_run"], "start_date", None)
    if not began or datetime.fromisoformat(found.created_at) >= began:
        return False
    store.refuse_run(found.run)
    return True


def read_run(store: FlowDatastore, ti: TaskInstance, node: Node, graph: FlowGraph) -> RunSpec:
    """The RunSpec of a run whose start step has run.

    Args:
        store: The flow's datastore.
        ti: Airflow's task instance of another step.
        node: That step.
        graph: The flow's graph.

    Raises:
        AirflowSkipException: The start step was skipped; then the others are.
        FlowException: The start step has not run.
    """
    try:
        return store.read_run(ti.run_id)
    except KeyNotFound as error:
        if _is_skipped(ti, f"{ti.task_id.removesuffix(node.name)}{graph.start}"):
            raise AirflowSkipException("What comes before the flow has skipped it.") from None
        raise FlowException(
            f"Step {node.name!r} (run {ti.run_id}): found no description of the run, expected the "
            f"one that the start step writes. Clear the start step so that it runs. ({error})"
        ) from error


def _is_skipped(ti: Any, task_id: str) -> bool:
    """Whether Airflow has skipped another task of the run."""
    found = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id])
    return "skipped" in map(str, found.get(ti.run_id, {}).values())


def facts(context: Mapping[str, Any]) -> dict[str, Any]:
    """What Airflow knows of a run and ``current`` shows; times in ISO 8601."""
    dag_run = context["dag_run"]
    run_type = getattr(dag_run, "run_type", None)
    known: dict[str, Any] = {name: _iso(getattr(dag_run, name, None)) for name in _FACTS}
    return {
        **known,
        "dag_id": context["ti"].dag_id,
        "try_number": context["ti"].try_number,
        "run_type": None if run_type is None else str(getattr(run_type, "value", run_type)),
        **({"trigger": events} if (events := trigger_facts(context)) else {}),
    }


def _new_run(
    flow: type[FlowSpec],
    store: FlowDatastore,
    context: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> RunSpec:
    project = deployed_project(flow)
    resumption = Resumption.of(flow, context)
    if resumption is not None:
        origin, values = resumption.take_over(flow, store, context)
    else:
        given = {name: context["params"].get(name) for name in collect_parameters(flow)}
        given |= {**event_parameters(flow, project, context), **parameters}
        resolved = resolve_parameters(flow, given, env={}, ds_type="s3", project=project)
        origin, values = None, include_files(flow, resolved, store)
    script = Path(sys.modules[flow.__module__].__file__ or "")
    root = _bundle_root(script, context.get("dag"))
    built = package.build(script, root, decorator_modules(flow))
    dag_id, run_type = context["ti"].dag_id, facts(context)["run_type"]
    user = _user(context)
    return RunSpec(
        flow=store.flow,
        run=str(context["run_id"]),
        parameters=values,
        code=package.upload(store, built),
        script=built.script,
        user=user,
        created_at=utc_now(),
        launcher="airflow",
        system_tags=(
            f"flowsdk_version:{VERSION}",
            f"python_version:{PYTHON_VERSION}",
            f"user:{user}",
            "runtime:airflow",
            f"dag_id:{dag_id}",
            f"run_type:{run_type}",
            *(project.tags if project else ()),
        ),
        configs=recorded_configs(flow),
        origin=origin,
    )


def _bundle_root(script: Path, dag: Any) -> Path:
    """The folder whose modules a flow file can import: that of its DAG bundle, if it is in one."""
    relative = getattr(dag, "relative_fileloc", None)
    if relative and str(script).endswith(f"/{relative}"):
        return Path(str(script)[: -len(relative)])
    return script.parent


def _user(context: Mapping[str, Any]) -> str:
    """Who triggered the run; a scheduled one is its owner's."""
    user = getattr(context["dag_run"], "triggering_user_name", None)
    return str(user or getattr(context.get("task"), "owner", None) or "airflow")


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
