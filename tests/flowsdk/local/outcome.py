"""What ``run_flow`` leaves of a flow: its one run, the results of its tasks, what they printed."""

from __future__ import annotations

from pathlib import Path

from flowsdk.datastore import FlowDatastore
from flowsdk.spec import TaskResult


def only_run(folder: Path, flow: str) -> tuple[FlowDatastore, str]:
    store = FlowDatastore.at(str(folder / ".flowsdk"), flow)
    (run,) = store.runs()
    return store, run


def results(folder: Path, flow: str) -> dict[str, TaskResult]:
    """``step/task`` → the result of its last attempt."""
    store, run = only_run(folder, flow)
    return {
        f"{step}/{task}": store.read_result(run, attempts[-1])
        for step, tasks in store.attempts(run).items()
        for task, attempts in tasks.items()
    }


def texts(output: str) -> list[str]:
    """The lines of tasks without time stamp and task."""
    return [line.partition(") ] ")[2] or line.partition("] ")[2] for line in output.splitlines()]
