"""The fake speaks as Airflow does: its rows and our requests pass Airflow's own models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flowsdk.deployer.deploying_airflow import (
    BACKFILL_FIELDS,
    TRIGGER_FIELDS,
    DeployingAirflow,
    backfill,
    import_error,
)

models = "airflow.api_fastapi.core_api.datamodels"
dags = pytest.importorskip(f"{models}.dags")
dag_runs = pytest.importorskip(f"{models}.dag_run")
backfills = pytest.importorskip(f"{models}.backfills")
import_errors = pytest.importorskip(f"{models}.import_error")


def test_what_is_asked_for_exists() -> None:
    assert set(backfills.BackfillPostBody.model_fields) >= BACKFILL_FIELDS
    assert set(dag_runs.TriggerDAGRunPostBody.model_fields) >= TRIGGER_FIELDS
    assert "state" in dag_runs.DAGRunPatchBody.model_fields
    assert set(dags.DAGPatchBody.model_fields) == {"is_paused"}


def test_what_is_answered_exists() -> None:
    dag = DeployingAirflow(folder=Path())._dag("F", "f.py", "2026-11-21T10:00:00Z")
    shown = {*dags.DAGResponse.model_fields, *dags.DAGResponse.model_computed_fields}
    assert set(dag) <= shown
    error = import_error(1, "f.py", "2026-11-21T10:00:00Z", "SyntaxError")
    assert import_errors.ImportErrorResponse.model_validate(error).model_dump(by_alias=True)
    body = dict.fromkeys(BACKFILL_FIELDS, None) | {
        "dag_id": "F",
        "from_date": "2026-11-21T10:00:00Z",
        "to_date": "2026-11-21T10:00:00Z",
        "reprocess_behavior": "none",
        "max_active_runs": 3,
    }
    assert set(backfill(1, body)) == set(backfills.BackfillResponse.model_fields)
