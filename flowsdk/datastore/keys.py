"""The only place where datastore keys are built.

    <flow>/data/<aa>/<digest>                            artifact blobs, content-addressed
    <flow>/code/<digest>                                 code packages
    <flow>/runs/<run>/run.json                           RunSpec
    <flow>/runs/<run>/done.json                          RunEnd, of a laptop's run
    <flow>/runs/<run>/<step>/<task>/<attempt>/spec.json    TaskSpec, by whoever launches
                                             /log/<n>      log chunks, while running
                                             /result.json  TaskResult: the commit marker, last, once

A key is relative to the datastore's root. Components are quoted so that each stays one path
component and reads as itself in a bucket browser.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from flowsdk.spec import TaskRef

RUN_DOCUMENT = "run.json"
RUN_END_DOCUMENT = "done.json"
SPEC_DOCUMENT = "spec.json"
RESULT_DOCUMENT = "result.json"
#: Airflow run ids hold these; all are plain characters in S3 keys and in file names.
_PLAIN = ":+~@=, "


def component(name: str) -> str:
    """``name`` as one component of a key."""
    quoted = quote(name, safe=_PLAIN)
    return quoted.replace(".", "%2E") if quoted in {".", ".."} else quoted


def name_of(key_component: str) -> str:
    """The inverse of :func:`component`."""
    return unquote(key_component)


def blob(flow: str, digest: str) -> str:
    """An artifact blob."""
    return f"{component(flow)}/data/{digest[:2]}/{digest}"


def code(flow: str, digest: str) -> str:
    """A code package."""
    return f"{component(flow)}/code/{digest}"


def runs(flow: str) -> str:
    """Prefix of all runs of a flow."""
    return f"{component(flow)}/runs/"


def run(flow: str, run_id: str) -> str:
    """Prefix of one run."""
    return f"{runs(flow)}{component(run_id)}/"


def run_document(flow: str, run_id: str) -> str:
    """The RunSpec of a run."""
    return run(flow, run_id) + RUN_DOCUMENT


def run_end(flow: str, run_id: str) -> str:
    """The RunEnd of a run."""
    return run(flow, run_id) + RUN_END_DOCUMENT


def step(flow: str, run_id: str, step_name: str) -> str:
    """Prefix of one step of a run."""
    return f"{run(flow, run_id)}{component(step_name)}/"


def task(flow: str, run_id: str, step_name: str, task_id: str) -> str:
    """Prefix of one task."""
    return f"{step(flow, run_id, step_name)}{component(task_id)}/"


def attempt(flow: str, run_id: str, ref: TaskRef) -> str:
    """Prefix of one attempt."""
    return f"{task(flow, run_id, ref.step, ref.task)}{ref.attempt}/"


def spec(flow: str, run_id: str, ref: TaskRef) -> str:
    """The TaskSpec of an attempt."""
    return attempt(flow, run_id, ref) + SPEC_DOCUMENT


def result(flow: str, run_id: str, ref: TaskRef) -> str:
    """The TaskResult of an attempt."""
    return attempt(flow, run_id, ref) + RESULT_DOCUMENT


def log_chunk(flow: str, run_id: str, ref: TaskRef, number: int) -> str:
    """Chunk ``number`` (0-based) of an attempt's log."""
    return f"{attempt(flow, run_id, ref)}log/{number:06d}"
