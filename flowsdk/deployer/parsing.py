"""Waiting until Airflow has parsed a flow file that was put into its dags folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowsdk.deployer.dags_folder import FlowFiles
from flowsdk.deployer.server import AirflowServer, is_file
from flowsdk.exception import DeploymentError

_POLL_SECONDS = 1.0
#: A parse that had begun before the file was replaced may still end with an error of what was there
#: then. The file itself is parsed next, which replaces the error or takes it away: within seconds,
#: or, where nothing tells Airflow that the file has changed, after [dag_processor]
#: min_file_process_interval, by default 30 seconds.
_SETTLE_SECONDS = 10.0
_SETTLE_KNOWN_SECONDS = 45.0


@dataclass(frozen=True)
class Parsed:
    """What Airflow knew of a flow's file at some moment.

    Attributes:
        at: When it had last parsed the file; None if it did not know the flow.
        errors: When an import error of the file was last met → its text.
    """

    at: str | None
    errors: Mapping[str, str]

    @classmethod
    def now(cls, server: AirflowServer, files: FlowFiles) -> Parsed:
        """As Airflow says now.

        Raises:
            DeploymentError: It has a flow of that name in another file.
        """
        dag = server.row(files.name)
        gone = dag is not None and dag.get("is_stale")
        if dag and not gone and not is_file(dag.get("relative_fileloc"), files.script):
            raise DeploymentError(
                f"Flow {files.name}: Airflow at {server.url} has a DAG of this name in "
                f"{dag.get('relative_fileloc')} (bundle {dag.get('bundle_name')}), expected none or "
                f"one in {files.script}. Rename one of them, or take the other one out first."
            )
        errors = server.import_errors(files.script)
        texts = {error["timestamp"]: error["stack_trace"] for error in errors}
        return cls(dag.get("last_parsed_time") if dag else None, texts)


def wait_until_parsed(
    server: AirflowServer, files: FlowFiles, before: Parsed | None, timeout: float
) -> Mapping[str, Any]:
    """The DAG once Airflow has parsed the file as it is now.

    How it works:
        What Airflow shows as the DAG's source must be the text that was deployed, and if anything
        was changed, also in another file, the DAG must have been parsed again since. An import error
        counts once it has been met again, or has stayed for a while.

    Args:
        server: The Airflow.
        files: What was deployed.
        before: What Airflow knew before anything was changed; None if nothing was.
        timeout: In seconds.

    Raises:
        DeploymentError: The file cannot be imported, or the time is over.
    """
    deadline = time.monotonic() + timeout
    errors = _Errors(before.errors if before else {})
    asked = False
    while True:
        broken = errors.look(server.import_errors(files.script))
        if broken and (errors.are_settled or before is None or time.monotonic() > deadline):
            raise DeploymentError(
                f"Flow {files.name}: Airflow cannot import {files.script}:\n{broken.strip()}"
            )
        dag = server.row(files.name)
        if dag and is_file(dag.get("relative_fileloc"), files.script):
            if not dag.get("is_stale") and _is_current(server, files, dag, before):
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
    source = server.source(files.name)
    return source is None or source.splitlines() == text.splitlines()


class _Errors:
    """The import errors of a file since it was deployed.

    Args:
        known: Those before: when each was last met → its text.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._met: set[str] = set()
        self._since = 0.0
        self._is_known_text = False

    def look(self, errors: Sequence[Mapping[str, Any]]) -> str | None:
        """The text of an error that was not known, if there is one now."""
        new = [error for error in errors if error["timestamp"] not in self._known]
        if not new:
            self._met.clear()
            return None
        if not self._met:
            self._since = time.monotonic()
        self._met.add(new[0]["timestamp"])
        text = str(new[0]["stack_trace"])
        self._is_known_text = text in self._known.values()
        return text

    @property
    def are_settled(self) -> bool:
        """Whether what was last seen is an error of the file as it is now."""
        wait = _SETTLE_KNOWN_SECONDS if self._is_known_text else _SETTLE_SECONDS
        return len(self._met) > 1 or time.monotonic() - self._since > wait


def _why_late(
    server: AirflowServer, files: FlowFiles, dag: Mapping[str, Any] | None, timeout: float
) -> str:
    found = (
        f"has last parsed it at {dag.get('last_parsed_time')}" if dag else "does not know it yet"
    )
    return (
        f"Flow {files.name}: Airflow at {server.url} {found}, expected it to parse the deployed "
        f"file within {timeout:g} s. The file stays where it is. Check that it is the dags folder "
        f"of that Airflow, and that its DAG processor runs; a new file is looked for every "
        f"[dag_processor] refresh_interval seconds. --timeout waits longer."
    )
