"""The main program of a job: one task from its spec to its result.

Started by :mod:`flowsdk.runtime.loader` once the code package has been unpacked.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from flowsdk.configs import pin_configs
from flowsdk.datastore import FlowDatastore
from flowsdk.datastore.s3 import make_client
from flowsdk.runtime.errors import describe
from flowsdk.runtime.gang import GangNode
from flowsdk.runtime.interrupt import HOST_ENDS
from flowsdk.runtime.load import load_flow
from flowsdk.runtime.logs import LogLine
from flowsdk.runtime.processes import TaskProcesses
from flowsdk.runtime.spot import SpotWatch
from flowsdk.runtime.task import failed_result, run_task, utc_now
from flowsdk.spec import ErrorInfo, TaskResult, TaskSpec, flow_class


def main(spec_json: bytes, package: str, together: bool = False, session: Any = None) -> int:
    """Run the task; returns the process's exit code, 0 exactly if the task succeeded.

    Args:
        spec_json: The TaskSpec.
        package: Folder of the unpacked code package.
        together: Whether the spec came from an object of many: then its own is still to be stored,
            so that whoever looks for the tasks of a run finds this one.
        session: The botocore session to reach a datastore in S3 with; by default the environment's.
    """
    spec = TaskSpec.from_json(spec_json)

    def open_store() -> FlowDatastore:
        return FlowDatastore.at(spec.root, spec.flow, make_client(session) if session else None)

    store = open_store()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever a task prints must be printable here
            stream.reconfigure(errors="backslashreplace")
    found = store.find_result(spec.run, spec.ref)
    if found is not None:
        sys.stderr.write(f"{spec.pathspec} attempt {spec.attempt} has {found.status} already.\n")
        return 0 if found.succeeded else 1

    if together:
        store.write_spec(spec)
    notice = Path(package, ".spot_termination_notice")
    gang = GangNode.of(spec, store)
    facts = {**spec.facts, "spot_termination_notice": str(notice), **(gang.facts if gang else {})}
    known = replace(spec, facts=facts)

    def target(lost: ErrorInfo | None) -> TaskResult:
        started_at = utc_now()
        os.environ.update(spec.environment)  # before the flow file is imported, which may look
        pin_configs(spec.configs)
        try:
            flow = load_flow(Path(package) / (spec.script or ""), flow_class(spec.flow))
        except BaseException as error:  # noqa: BLE001  # importing the flow file is user code
            return failed_result(spec, describe(error), started_at)
        # A store of its own: connections must not be shared across the fork.
        return run_task(known, flow, open_store(), lost)

    # When the host is lost Batch starts the job anew, and then this attempt is still to be run. Not
    # that of a gang, of which others may have a result already.
    processes = TaskProcesses(_echo, started_anew=gang is None)

    def on_term(_: int, __: FrameType | None) -> None:
        processes.stop(HOST_ENDS)

    signal.signal(signal.SIGTERM, on_term)
    first_chunk = sum(1 for _ in store.log_chunks(spec.run, spec.ref)) if _is_retry() else 0
    processes.start(spec, store, target, first_chunk)
    results: list[TaskResult] = []
    spot = SpotWatch(notice)
    while not results:
        results = processes.poll(0.25)
        spot.poll()
        if gang and (why := gang.poll()):
            processes.stop(why)
    # From here on there is nothing to save.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return 0 if results[0].succeeded and (gang is None or gang.outlast()) else 1


def _is_retry() -> bool:
    """Whether Batch has started this job before, so that the attempt has the beginning of a log."""
    return os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1") != "1"


def _echo(_: TaskSpec, lines: list[LogLine]) -> None:
    """The container's own log shows the same lines."""
    for line in lines:
        (sys.stdout if line.stream == "stdout" else sys.stderr).write(f"{line.text}\n")
    sys.stdout.flush()
    sys.stderr.flush()
