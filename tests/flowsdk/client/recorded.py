"""Real runs, made by the real runtime, for the client to read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flowsdk.datastore import FlowDatastore, keys, open_storage
from flowsdk.flow import FlowSpec
from flowsdk.local.run import LocalRun, RunOptions
from flowsdk.local.scheduler import Listener
from flowsdk.parameters import resolve_parameters
from tests.flowsdk.client.hello_flow import HelloFlow


def record(
    root: str,
    run_id: str | None = None,
    flow: type[FlowSpec] = HelloFlow,
    tags: tuple[str, ...] = (),
    **parameters: Any,
) -> str:
    """Run the flow in this process; returns the run id.

    With a run id of its own, a run is what an Airflow leaves in a datastore: nothing notes its end.
    """
    values = resolve_parameters(flow, parameters, {})
    run = LocalRun(flow, values, RunOptions(root, tags=tags), lambda spec, lines: None)
    if run_id:
        run.run = replace(run.run, run=run_id, launcher="airflow")
    run.execute(Listener(lambda spec, name: None, lambda result, delay: None))
    if run_id:
        forget_end(run.store, run_id)
    return run.run.run


def forget_end(store: FlowDatastore, run: str) -> None:
    """Remove what says that a run has ended, or when it last went on, as of a run of an Airflow."""
    store.storage.delete([keys.run_end(store.flow, run), keys.run_alive(store.flow, run)])


def store_at(root: str, flow: str = "HelloFlow") -> FlowDatastore:
    return FlowDatastore(open_storage(root), flow)
