"""The Airflow that flows are deployed to, through its public REST API."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from flowsdk.client.airflow_api import AirflowApi, ApiError
from flowsdk.exception import DeploymentError, NotFound, UsageError, did_you_mean

URL = "FLOWSDK_AIRFLOW_URL"
_METADATA = "FLOWSDK_METADATA"
_SCHEME = "airflow@"
#: ``[api] maximum_page_limit`` unless an administrator changed it.
_PAGE = 100

Json = Mapping[str, Any]


class AirflowServer:
    """What deployments need of an Airflow.

    How it works:
        Logs in as the client does: FLOWSDK_AIRFLOW_TOKEN, or FLOWSDK_AIRFLOW_USERNAME and
        FLOWSDK_AIRFLOW_PASSWORD.

    Args:
        url: Of the API server.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.metadata = f"{_SCHEME}{self.url}"
        self._api = AirflowApi(self.url)

    # -- DAGs

    def row(self, name: str) -> Json | None:
        """What Airflow has of a DAG, also one that is no longer in any file; None if nothing."""
        found: Json | None = self._api.get(f"/api/v2/dags/{_quoted(name)}")
        return found

    def dag(self, name: str) -> Json | None:
        """A DAG that Airflow has in some file; None if there is none."""
        found = self.row(name)
        return None if found is None or found.get("is_stale") else found

    def require_dag(self, name: str) -> Json:
        """As :meth:`dag`.

        Raises:
            NotFound: There is none.
            DeploymentError: There was one, and its file cannot be imported any more.
        """
        row = self.row(name)
        if row and not row.get("is_stale"):
            return row
        if row and (errors := self.import_errors(str(row["relative_fileloc"]))):
            raise DeploymentError(
                f"Flow {name}: Airflow at {self.url} cannot import its file any more:\n"
                f"{errors[0]['stack_trace'].strip()}"
            )
        raise NotFound(
            f"Flow {name!r} is not deployed to Airflow at {self.url}."
            f"{did_you_mean(name, self.flow_names())} 'airflow create' deploys it."
        )

    def flow_names(self) -> list[str]:
        """The DAGs that were made from flows."""
        found = self._api.get_pages("/api/v2/dags", "dags", {"tags": "flow"}, _PAGE)
        return sorted(dag["dag_id"] for dag in found)

    def params(self, name: str) -> Json:
        """The params of a DAG by name: value, description and schema."""
        details = self._api.get(f"/api/v2/dags/{_quoted(name)}/details") or {}
        params: Json = details.get("params") or {}
        return params

    def source(self, name: str) -> str | None:
        """The text of a DAG's file as Airflow has last parsed it; None if it does not say."""
        try:
            found = self._api.get(f"/api/v2/dagSources/{_quoted(name)}")
        except ApiError as error:
            if error.status == 403:  # reading code is a permission of its own
                return None
            raise
        content = (found or {}).get("content")
        # Airflow's words where the file has DAGs that this user may not see.
        return None if content is None or content.startswith("REDACTED") else str(content)

    def import_errors(self, script: str) -> list[Json]:
        """Why a file could not be imported, if it could not.

        Args:
            script: Path below the dags folder, which may itself lie below a DAG bundle's root.
        """
        found = self._api.get_pages("/api/v2/importErrors", "import_errors", {}, _PAGE)
        return [error for error in found if is_file(error.get("filename"), script)]

    def reparse(self, dag: Json) -> None:
        """Ask for a DAG's file to be parsed before its turn."""
        try:
            self._api.send("PUT", f"/api/v2/parseDagFile/{_quoted(dag['file_token'])}")
        except ApiError as error:
            if error.status not in (403, 409):  # it has been asked for already; its turn will come
                raise

    def pause(self, name: str, paused: bool) -> None:
        """Pause a DAG, or let it run."""
        self._send(name, "PATCH", f"/api/v2/dags/{_quoted(name)}", {"is_paused": paused})

    def delete_dag(self, name: str) -> None:
        """Delete all that Airflow knows of a DAG, its runs included; nothing if there is none."""
        if self.row(name) is not None:
            self._api.send("DELETE", f"/api/v2/dags/{_quoted(name)}")

    # -- runs

    def trigger(self, name: str, conf: Json, run_id: str | None) -> Json:
        """Start a run.

        Args:
            name: Of the DAG.
            conf: Values of params by name.
            run_id: Its id; by default one is made.

        Raises:
            UsageError: Airflow refuses a value, or there is a run of that id.
        """
        made = run_id or _new_run_id()
        body = {"dag_run_id": made, "conf": dict(conf), "logical_date": None}
        try:
            return self._send(name, "POST", f"/api/v2/dags/{_quoted(name)}/dagRuns", body)
        except ApiError as error:
            # A request that was repeated because its answer was lost meets itself.
            if error.status == 409 and run_id is None and (found := self.run(name, made)):
                return found
            if error.status in (400, 409, 422):
                raise UsageError(f"Flow {name}: Airflow refuses the run. {error}") from error
            raise

    def runs(self, name: str, states: Sequence[str] = (), limit: int = _PAGE) -> list[Json]:
        """The newest runs, newest first.

        Args:
            name: Of the DAG.
            states: Airflow's names of states; by default all.
            limit: How many at most.
        """
        body = {"dag_ids": [name], "order_by": "-id"}
        if states:
            body["states"] = list(states)
        pages = self._api.pages("/api/v2/dags/~/dagRuns/list", "dag_runs", body, min(limit, _PAGE))
        return [run for run, _ in zip(pages, range(limit), strict=False)]

    def run(self, name: str, run_id: str) -> Json | None:
        """One run, or None if there is none of that id."""
        found: Json | None = self._api.get(_run_path(name, run_id))
        return found

    def require_run(self, name: str, run_id: str) -> Json:
        """As :meth:`run`.

        Raises:
            NotFound: There is none.
        """
        if found := self.run(name, run_id):
            return found
        known = [run["dag_run_id"] for run in self.runs(name)]
        raise NotFound(
            f"Flow {name} has no run {run_id!r} in Airflow at {self.url}."
            f"{did_you_mean(run_id, known)}"
        )

    def fail(self, name: str, run_id: str) -> Json:
        """Mark a run failed, which ends its tasks and their jobs."""
        return self._send(name, "PATCH", _run_path(name, run_id), {"state": "failed"})

    def backfill(self, body: Json, *, dry_run: bool) -> Json:
        """Start the runs that a schedule would have started in a range of dates.

        Args:
            body: As of Airflow's ``POST /backfills``.
            dry_run: Only say which.

        Raises:
            UsageError: Airflow refuses it, for instance because another backfill is running.
        """
        path = "/api/v2/backfills/dry_run" if dry_run else "/api/v2/backfills"
        try:
            return self._send(body["dag_id"], "POST", path, body)
        except ApiError as error:
            if error.status in (400, 409, 422):
                raise UsageError(
                    f"Flow {body['dag_id']}: Airflow refuses the backfill. {error}"
                ) from error
            raise

    def _send(self, name: str, method: str, path: str, body: Any) -> Json:
        found: Json | None = self._api.send(method, path, body)
        if found is None:
            raise NotFound(f"Flow {name!r}: Airflow at {self.url} does not know it (any more).")
        return found


def server_url(given: str | None, metadata: str | None = None) -> str | None:
    """Where Airflow is, or None if nothing says it.

    In order: ``given``; ``metadata``, FLOWSDK_AIRFLOW_URL, FLOWSDK_METADATA.

    Args:
        given: What the caller says.
        metadata: What the command line says about metadata.

    Raises:
        UsageError: It is not a URL.
    """
    selected = (metadata, f"{_SCHEME}{os.environ.get(URL, '')}", os.environ.get(_METADATA))
    places = (name[len(_SCHEME) :] for name in selected if name and name.startswith(_SCHEME))
    url = given or next(filter(None, places), None)
    if url is not None and not url.startswith(("http://", "https://")):
        raise UsageError(f"Airflow: found {url!r}, expected http://host:port of its API server.")
    return url


def require_url(given: str | None, metadata: str | None = None) -> str:
    """As :func:`server_url`.

    Raises:
        UsageError: Nothing says it, or it is not a URL.
    """
    if url := server_url(given, metadata):
        return url
    raise UsageError(
        f"Airflow: found no address. Pass --airflow http://host:port, or set {URL} to the address "
        f"of its API server."
    )


def is_file(path: str | None, script: str) -> bool:
    """Whether a path of Airflow's means the file at ``script`` below the dags folder."""
    return path is not None and (path == script or path.endswith(f"/{script}"))


def _new_run_id() -> str:
    """As Airflow makes them for runs that somebody triggers."""
    return f"manual__{datetime.now(timezone.utc).isoformat()}_{secrets.token_hex(4)}"


def _run_path(name: str, run_id: str) -> str:
    return f"/api/v2/dags/{_quoted(name)}/dagRuns/{_quoted(run_id)}"


def _quoted(name: str) -> str:
    return quote(name, safe="~")
