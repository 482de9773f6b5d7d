"""Waiting until Airflow has parsed a flow file that was put into its dags folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowsdk.deployer.dags_folder import FlowFiles
from flowsdk.deployer.server import AirflowServer, is_file
from flowsdk.exception import DeploymentError

_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Parsed:
    """What Airflow knew of a flow's file at some moment.

    Attributes:
        at: When it had last parsed the file; None if it did not know the flow.
        errors: The import errors of the file, each with the time when it was last met.
    """

    at: str | None
    errors: frozenset[tuple[int, str]]

    @classmethod
    def now(cls, server: AirflowServer, files: FlowFiles) -> Parsed:
        """As Airflow says now.

        Raises:
            DeploymentError: It has a flow of that name in another file.
        """
        dag = server.row(files.flow)
        gone = dag is not None and dag.get("is_stale")
        if dag and not gone and not is_file(dag.get("relative_fileloc"), files.script):
            raise DeploymentError(
                f"Flow {files.flow}: Airflow at {server.url} has a DAG of this name in "
                f"{dag.get('relative_fileloc')} (bundle {dag.get('bundle_name')}), expected none or "
                f"one in {files.script}. Rename one of them, or take the other one out first."
            )
        errors = server.import_errors(files.script)
        return cls(dag.get("last_parsed_time") if dag else None, frozenset(map(_identity, errors)))


def wait_until_parsed(
    server: AirflowServer, files: FlowFiles, before: Parsed | None, timeout: float
) -> Mapping[str, Any]:
    """The DAG once Airflow has parsed the file as it is now.

    How it works:
        What Airflow shows as the DAG's source must be the text that was deployed, and if anything
        was changed, also in another file, the DAG must have been parsed again since.

    Args:
        server: The Airflow.
        files: What was deployed.
        before: What Airflow knew before anything was changed; None if nothing was.
        timeout: In seconds.

    Raises:
        DeploymentError: The file cannot be imported, or the time is over.
    """
    deadline = time.monotonic() + timeout
    asked = False
    while True:
        _raise_import_errors(server, files, before)
        dag = server.dag(files.flow)
        if dag and is_file(dag.get("relative_fileloc"), files.script):
            if _is_current(server, files, dag, before):
                return dag
            if not asked:
                server.reparse(dag)
                asked = True
        if time.monotonic() > deadline:
            raise DeploymentError(_why_late(server, files, dag, timeout))
        time.sleep(min(_POLL_SECONDS, timeout / 10))


def _is_current(
    server: AirflowServer, files: FlowFiles, dag: Mapping[str, Any], before: Parsed | None
) -> bool:
    if before is not None and dag.get("last_parsed_time") in (None, before.at):
        return False
    text = files.contents[files.script].decode("utf-8", "replace")
    source = server.source(files.flow)
    return source is None or source.splitlines() == text.splitlines()


def _raise_import_errors(server: AirflowServer, files: FlowFiles, before: Parsed | None) -> None:
    known = before.errors if before else frozenset()
    for error in server.import_errors(files.script):
        if _identity(error) not in known:
            raise DeploymentError(
                f"Flow {files.flow}: Airflow cannot import {error['filename']}:\n"
                f"{error['stack_trace'].strip()}"
            )


def _identity(error: Mapping[str, Any]) -> tuple[int, str]:
    # The time is that of the last parse that met it.
    return int(error["import_error_id"]), str(error["timestamp"])


def _why_late(
    server: AirflowServer, files: FlowFiles, dag: Mapping[str, Any] | None, timeout: float
) -> str:
    found = (
        f"has last parsed it at {dag.get('last_parsed_time')}" if dag else "does not know it yet"
    )
    return (
        f"Flow {files.flow}: Airflow at {server.url} {found}, expected it to parse the deployed "
        f"file within {timeout:g} s. The file stays where it is. Check that it is the dags folder "
        f"of that Airflow, and that its DAG processor runs; a new file is looked for every "
        f"[dag_processor] refresh_interval seconds. --timeout waits longer."
    )
