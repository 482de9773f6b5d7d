"""Resuming a run: a new run that does only what an earlier one has not done yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowsdk.configs import pin_configs, resolve_configs
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import KeyNotFound, UsageError, did_you_mean
from flowsdk.flow import FlowSpec, graph_of
from flowsdk.graph import FlowGraph
from flowsdk.lint import validate
from flowsdk.local.launchers import OnLines
from flowsdk.local.run import LocalRun, RunOptions, is_laptop_run, locate_run
from flowsdk.origin import Origin
from flowsdk.spec import RunSpec


def resume(
    flow: type[FlowSpec],
    options: RunOptions,
    on_lines: OnLines,
    *,
    origin_run: str | None = None,
    step: str | None = None,
) -> LocalRun:
    """Prepare a run that continues from an earlier one; its ``execute`` runs it.

    A task is used again if it has succeeded in the earlier run and all tasks before it are used
    again; all others run. Parameters and Configs are those of the earlier run, the code is the flow's
    as it is now.

    Args:
        flow: The flow class.
        options: How to run. The earlier run is looked for in the same datastore.
        on_lines: Called with what tasks print.
        origin_run: Id of the earlier run, of a laptop or of an Airflow; by default the newest one of
            a laptop, which may itself have been resumed.
        step: Run this step and everything after it again.

    Raises:
        FlowLintError: The flow has problems.
        UsageError: There is no such run or step.
    """
    store, run = _origin_run(flow, options, origin_run)
    _take_configs(flow, run.configs)
    graph = graph_of(flow)
    validate(graph)
    origin = Origin.read(store, run.run, graph.nodes.keys() - _to_rerun(graph, step))
    return LocalRun(flow, run.parameters, options, on_lines, origin)


def _origin_run(
    flow: type[FlowSpec], options: RunOptions, run: str | None
) -> tuple[FlowDatastore, RunSpec]:
    """The run that is resumed, and the datastore in which it lies."""
    name, parts = flow.__name__, [""]
    if run is not None:
        name, parts = locate_run(flow, run, options.branch, options.production)
    store = FlowDatastore.at(options.root, name)
    where = f"datastore {store.storage.root}"
    wanted = "/".join(parts) or next((r for r in reversed(store.runs()) if is_laptop_run(r)), None)
    if wanted is None:
        raise UsageError(
            f"Which run to resume ({where}): found no run of flow {store.flow} on a laptop, expected "
            f"one. Run the flow first, or name a run with --origin-run-id."
        )
    try:
        return store, store.read_run(wanted)
    except KeyNotFound:
        raise UsageError(
            f"Which run to resume ({where}): flow {store.flow} has no run {wanted!r}."
            f"{did_you_mean(wanted, store.runs())} Another datastore is chosen with "
            f"--datastore-root before the command."
        ) from None


def _to_rerun(graph: FlowGraph, step: str | None) -> frozenset[str]:
    if step is None:
        return frozenset()
    if step not in graph:
        raise UsageError(
            f"Which step to resume from: flow {graph.name} has no step {step!r}, expected one of "
            f"{', '.join(graph.nodes)}.{did_you_mean(step, graph.nodes)}"
        )
    return graph.descendants(step) | {step}


def _take_configs(flow: type[FlowSpec], values: Mapping[str, Any]) -> None:
    """Give a flow's Configs the values of the earlier run, whatever files now say."""
    pin_configs(values)
    try:
        resolve_configs(flow, {})
    finally:
        pin_configs(None)
