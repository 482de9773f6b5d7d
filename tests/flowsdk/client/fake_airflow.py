"""An Airflow API server of a few routes, with the shapes and the strictness of the real one.

``test_fake_airflow.py`` holds it against Airflow's own models.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

#: As ``[api] maximum_page_limit``, which GET routes do not exceed whatever is asked for.
MAXIMUM_PAGE = 100

RUN_FILTERS = {"dag_ids", "states", "order_by", "page_limit", "page_offset"}
INSTANCE_FILTERS = {"dag_ids", "dag_run_ids", "order_by", "page_limit", "page_offset"}


def dag_run(dag_id: str, run_id: str, state: str, number: int) -> dict[str, Any]:
    started = f"2026-11-21T09:{number:02}:01Z" if state != "queued" else None
    return {
        "dag_run_id": run_id,
        "dag_id": dag_id,
        "logical_date": None,
        "queued_at": f"2026-11-21T09:{number:02}:00.123456Z",
        "start_date": started,
        "end_date": f"2026-11-21T09:{number:02}:59Z" if state in ("success", "failed") else None,
        "duration": None,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": f"2026-11-21T09:{number:02}:00Z",
        "last_scheduling_decision": None,
        "run_type": "manual",
        "state": state,
        "triggered_by": "rest_api",
        "triggering_user_name": "alice",
        "conf": {},
        "note": None,
        "dag_versions": [],
        "bundle_version": None,
        "dag_display_name": dag_id,
        "partition_key": None,
        "partition_date": None,
    }


def task_instance(
    dag_id: str,
    run_id: str,
    task_id: str,
    state: str | None,
    map_index: int = -1,
    try_number: int = 1,
) -> dict[str, Any]:
    started = state not in (None, "scheduled", "queued", "skipped", "upstream_failed")
    return {
        "id": str(uuid.uuid4()),
        "task_id": task_id,
        "dag_id": dag_id,
        "dag_run_id": run_id,
        "map_index": map_index,
        "logical_date": None,
        "run_after": "2026-11-21T09:00:00Z",
        "start_date": "2026-11-21T09:00:01Z" if started else None,
        "end_date": "2026-11-21T09:00:02Z" if state in ("success", "failed") else None,
        "duration": None,
        "state": state,
        "try_number": try_number,
        "max_tries": 1,
        "task_display_name": task_id,
        "dag_display_name": dag_id,
        "hostname": "",
        "unixname": "",
        "pool": "default_pool",
        "pool_slots": 1,
        "queue": "default",
        "priority_weight": 1,
        "operator": "FlowStepOperator",
        "operator_name": "FlowStepOperator",
        "queued_when": None,
        "scheduled_when": None,
        "pid": None,
        "executor": None,
        "executor_config": "{}",
        "note": None,
        "rendered_map_index": None,
        "rendered_fields": {},
        "trigger": None,
        "triggerer_job": None,
        "dag_version": None,
    }


@dataclass
class FakeAirflow:
    """What the server knows; tests fill it in.

    Attributes:
        url: Of the server.
        dags: DAG ids.
        dag_runs: Rows, oldest first.
        instances: Rows.
        records: (run id, task id, map index) → task record.
        tags: (run id, task id) → tags.
        plugin: Whether the provider's plugin is installed.
        tokens: Tokens that are valid now.
        users: User → password; without any, nobody needs to name themselves.
        failures: Statuses to answer the next requests with.
        requests: Method and path of every request, in order; bodies in ``bodies``.
    """

    url: str = ""
    dags: list[str] = field(default_factory=list)
    dag_runs: list[dict[str, Any]] = field(default_factory=list)
    instances: list[dict[str, Any]] = field(default_factory=list)
    records: dict[tuple[str, str, int], Mapping[str, Any]] = field(default_factory=dict)
    tags: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    plugin: bool = True
    tokens: list[str] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)

    def take(self) -> list[str]:
        """The requests since the last look."""
        taken, self.requests = self.requests, []
        return taken

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], body: Any, token: str
    ) -> tuple[int, Any]:
        """Status and JSON value (text: a page)."""
        if path == "/auth/token":
            return self._log_in(method, body)
        if self.failures:
            return self.failures.pop(0), {"detail": "made up"}
        if path.startswith("/flowprovider/") and not self.plugin:
            return 200, "<html>Airflow's UI answers every path that is nobody's</html>"
        if token not in self.tokens:
            return 401, {"detail": "Not authenticated"}
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[0] == "flowprovider":
            assert parts[1:3] + parts[4:] == ["api", "dags", "xcoms", "list"]
            return self._bulk(parts[3], body)
        return self._public(method, parts[2:], query, body)

    def _log_in(self, method: str, body: Any) -> tuple[int, Any]:
        if method == "GET" and self.users:
            return 403, {"detail": "Only available if simple_auth_manager_all_admins is True"}
        if method == "POST" and self.users.get(body["username"]) != body["password"]:
            return 401, {"detail": "Invalid credentials"}
        self.tokens.append(f"token-{len(self.tokens)}")
        return 201, {"access_token": self.tokens[-1]}

    def _public(
        self, method: str, parts: list[str], query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any]:
        match method, parts:
            case "GET", ["dags"]:
                assert query["tags"] == ["flow"]
                rows = [{"dag_id": dag} for dag in self.dags]
                return 200, _page("dags", rows, query)
            case "GET", ["dags", dag]:
                return (200, {"dag_id": dag}) if dag in self.dags else _missing("Dag")
            case "POST", ["dags", "~", "dagRuns", "list"]:
                return self._list(body, RUN_FILTERS, "dag_runs", self._matching_runs)
            case "GET", ["dags", dag, "dagRuns", run]:
                found = [r for r in self.dag_runs if (r["dag_id"], r["dag_run_id"]) == (dag, run)]
                return (200, found[0]) if found else _missing("DagRun")
            case "POST", ["dags", "~", "dagRuns", "~", "taskInstances", "list"]:
                return self._list(body, INSTANCE_FILTERS, "task_instances", self._matching)
            case "GET", ["dags", dag, "dagRuns", run, "taskInstances", "~", "xcomEntries"]:
                wanted = query["xcom_key"][0]
                rows = [
                    {"key": key, "dag_id": dag, "run_id": r, "task_id": t, "map_index": i}
                    for (r, t, i, key) in self._xcoms()
                    if (r, key) == (run, wanted)
                ]
                return 200, _page("xcom_entries", rows, query)
            case "GET", ["dags", _, "dagRuns", run, "taskInstances", task, "xcomEntries", key]:
                index = int(query.get("map_index", ["-1"])[0])
                found = self._xcoms().get((run, task, index, key))
                # Undeserialized, which is what the route gives by default: the row's JSON text.
                value = {"key": key, "value": json.dumps(found)}
                return (200, value) if found else _missing("XCom entry")
            case "POST", ["dags", _, "dagRuns", run, "taskInstances", task, "xcomEntries"]:
                assert set(body) == {"key", "value", "map_index"}
                if (run, task) in self.tags:
                    return 409, {"detail": "The XCom with key: `flow_tags` already exists."}
                return self._store_tags(run, task, body)
            case "PATCH", ["dags", _, "dagRuns", run, "taskInstances", task, "xcomEntries", key]:
                assert set(body) == {"value", "map_index"}
                if (run, task) not in self.tags:
                    return _missing("XCom")
                return self._store_tags(run, task, body)
        return 404, {"error": "API route not found"}

    def _xcoms(self) -> dict[tuple[str, str, int, str], Mapping[str, Any]]:
        records = {(*place, "flow_task"): value for place, value in self.records.items()}
        return records | {(*place, -1, "flow_tags"): value for place, value in self.tags.items()}

    def _store_tags(self, run: str, task: str, body: Any) -> tuple[int, Any]:
        if not any((r["dag_run_id"], r["task_id"]) == (run, task) for r in self.instances):
            return _missing("Task instance")
        self.tags[run, task] = body["value"]
        return 200, {"key": "flow_tags", "value": json.dumps(body["value"])}

    def _list(
        self, body: dict[str, Any], filters: set[str], name: str, matching: Any
    ) -> tuple[int, Any]:
        if unknown := set(body) - filters:
            return 422, {"detail": [{"type": "extra_forbidden", "loc": sorted(unknown)}]}
        rows = matching(body)
        start = body.get("page_offset", 0)
        page = rows[start : start + body.get("page_limit", MAXIMUM_PAGE)]
        return 200, {name: page, "total_entries": len(rows)}

    def _matching_runs(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        assert body["order_by"] == "-id"
        return [
            run
            for run in reversed(self.dag_runs)
            if run["dag_id"] in body["dag_ids"] and run["state"] in body.get("states", run["state"])
        ]

    def _matching(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        assert body["order_by"] == "id"
        return [
            row
            for row in self.instances
            if row["dag_id"] in body["dag_ids"] and row["dag_run_id"] in body["dag_run_ids"]
        ]

    def _bulk(self, dag_id: str, body: Any) -> tuple[int, Any]:
        if dag_id not in self.dags:
            return _missing("Dag")
        assert 1 <= len(body["run_ids"]) <= 1000
        rows = [
            {"run_id": run, "task_id": task, "map_index": index, "key": key, "value": value}
            for (run, task, index, key), value in sorted(self._xcoms().items())
            if run in body["run_ids"] and key in body["keys"]
        ]
        start, limit = body["page_offset"], body["page_limit"]
        return 200, {"xcoms": rows[start : start + limit], "total_entries": len(rows)}


def _missing(what: str) -> tuple[int, Any]:
    return 404, {"detail": f"The {what} was not found"}


def _page(name: str, rows: list[Any], query: dict[str, list[str]]) -> dict[str, Any]:
    start, limit = int(query["offset"][0]), min(MAXIMUM_PAGE, int(query["limit"][0]))
    return {name: rows[start : start + limit], "total_entries": len(rows)}


@contextmanager
def serve(airflow: Any = None) -> Iterator[Any]:
    """A fake that listens on loopback; a test may bring its own."""
    airflow = airflow or FakeAirflow()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve("GET")

        def do_POST(self) -> None:
            self._serve("POST")

        def do_PATCH(self) -> None:
            self._serve("PATCH")

        def do_PUT(self) -> None:
            self._serve("PUT")

        def do_DELETE(self) -> None:
            self._serve("DELETE")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _serve(self, method: str) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            url = urlsplit(self.path)
            airflow.requests.append(f"{method} {self.path}")
            airflow.bodies.append(body)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, value = airflow.answer(method, url.path, parse_qs(url.query), body, token)
            is_page = isinstance(value, str)
            content = (value if is_page else json.dumps(value)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if is_page else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        airflow.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield airflow
        finally:
            server.shutdown()
            thread.join()
