"""An Airflow that parses a dags folder, as far as deploying flows shows it.

``test_deploying_airflow.py`` holds it against Airflow's own models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.flowsdk.client.fake_airflow import FakeAirflow, _missing, _page, dag_run

_FLOW = re.compile(r"^class (\w+)\(FlowSpec\)", re.MULTILINE)
BACKFILL_FIELDS = {
    "dag_id", "from_date", "to_date", "run_backwards", "dag_run_conf", "reprocess_behavior",
    "max_active_runs",
}  # fmt: skip
TRIGGER_FIELDS = {"dag_run_id", "conf", "logical_date"}


def import_error(number: int, filename: str, time: str, trace: str) -> dict[str, Any]:
    return {
        "import_error_id": number,
        "timestamp": time,
        "filename": filename,
        "bundle_name": "dags-folder",
        "stack_trace": trace,
    }


def backfill(number: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": number,
        "dag_id": body["dag_id"],
        "from_date": body["from_date"],
        "to_date": body["to_date"],
        "dag_run_conf": body["dag_run_conf"],
        "is_paused": False,
        "reprocess_behavior": body["reprocess_behavior"],
        "max_active_runs": body["max_active_runs"],
        "created_at": "2026-11-21T09:00:00Z",
        "completed_at": None,
        "updated_at": "2026-11-21T09:00:00Z",
        "dag_display_name": body["dag_id"],
    }


@dataclass
class DeployingAirflow(FakeAirflow):
    """As its base, and it parses a folder.

    Attributes:
        folder: The dags folder.
        parses: Whether its DAG processor runs.
        names: Flow class → what its DAG is called, of flows in a project.
        params: DAG → its params.
        shown: DAG → as Airflow shows it.
        sources: DAG → the text it was parsed from.
        errors: File → import error.
        parses_seen: How often the folder was parsed.
        code_hidden: Whether the user may not read code.
        lets_go: Whether a DAG whose file cannot be imported is gone at once.
    """

    folder: Path = Path()
    parses: bool = True
    names: dict[str, str] = field(default_factory=dict)
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    errors: dict[str, dict[str, Any]] = field(default_factory=dict)
    parses_seen: int = 0
    code_hidden: bool = False
    lets_go: bool = True

    def parse(self) -> None:
        """What a DAG processor does with the folder."""
        self.parses_seen += 1
        time = f"2026-11-21T10:{self.parses_seen // 60:02}:{self.parses_seen % 60:02}Z"
        for file in sorted(self.folder.glob("*.py")):
            text = file.read_text()
            try:
                compile(text, file.name, "exec")
            except SyntaxError as error:
                number = len(self.errors) + 1
                self.errors[file.name] = import_error(number, file.name, time, f"{error}")
                for dag in self.shown.values():
                    dag["is_stale"] |= dag["relative_fileloc"] == file.name and self.lets_go
                continue
            self.errors.pop(file.name, None)
            for found in _FLOW.findall(text):
                flow = self.names.get(found, found)
                self.shown[flow] = self._dag(flow, file.name, time)
                self.sources[flow] = text

    def _dag(self, flow: str, filename: str, time: str) -> dict[str, Any]:
        known = self.shown.get(flow, {})
        return {
            "dag_id": flow,
            "is_paused": known.get("is_paused", True),
            "is_stale": False,
            "last_parsed_time": time,
            "bundle_name": "dags-folder",
            "relative_fileloc": filename,
            "timetable_summary": "@daily",
            "next_dagrun_run_after": None,
            "file_token": f"token-of-{filename}",
        }

    def _public(
        self, method: str, parts: list[str], query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any]:
        if self.parses and method == "GET" and parts[0] in ("dags", "importErrors"):
            self.parse()
        match method, parts:
            case "GET", ["dags"]:
                return 200, _page("dags", [{"dag_id": dag} for dag in self.shown], query)
            case "GET", ["importErrors"]:
                return 200, _page("import_errors", list(self.errors.values()), query)
            case "GET" | "PATCH" | "DELETE", ["dags", dag]:
                return self._one(method, dag, body) if dag in self.shown else _missing("Dag")
            case "POST" | "PATCH", ["dags", dag, "dagRuns", *run]:
                return self._change_run(dag, run, body)
            case "GET", ["dags", dag, "details"]:
                return 200, {"dag_id": dag, "params": self.params.get(dag, {})}
            case "GET", ["dagSources", dag]:
                if self.code_hidden:
                    return 403, {"detail": "Forbidden"}
                return 200, {"content": self.sources[dag], "dag_id": dag, "version_number": 1}
            case "PUT", ["parseDagFile", _]:
                return 201, None
            case "POST", ["backfills", *dry]:
                assert set(body) <= BACKFILL_FIELDS
                if dry:
                    dates = [{"logical_date": body["from_date"]}]
                    return 200, {"backfills": dates, "total_entries": 1}
                return 200, backfill(7, body)
        return super()._public(method, parts, query, body)

    def _one(self, method: str, dag: str, body: Any) -> tuple[int, Any]:
        if method == "PATCH":
            self.shown[dag].update(body)
        if method == "DELETE":
            del self.shown[dag]
            return 204, None
        return 200, self.shown[dag]

    def _change_run(self, dag: str, run: list[str], body: Any) -> tuple[int, Any]:
        if not run:
            return self._trigger(dag, body)
        if dag == "~":
            return super()._public("POST", ["dags", dag, "dagRuns", *run], {}, body)
        [row] = [row for row in self.dag_runs if [row["dag_run_id"]] == run]
        row["state"] = body["state"]
        return 200, row

    def _trigger(self, dag: str, body: dict[str, Any]) -> tuple[int, Any]:
        assert set(body) == TRIGGER_FIELDS
        if any(row["dag_run_id"] == body["dag_run_id"] for row in self.dag_runs):
            return 409, {"detail": "A run of that id exists"}
        if body["conf"].get("alpha") == -1:
            return 400, {"detail": "Invalid input for param alpha: -1 is less than the minimum"}
        row = dag_run(dag, body["dag_run_id"], "queued", len(self.dag_runs) + 1)
        self.dag_runs.append({**row, "conf": body["conf"]})
        return 200, self.dag_runs[-1]
