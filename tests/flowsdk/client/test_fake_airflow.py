"""The fake speaks as Airflow does: its rows and our requests pass Airflow's own models."""

from __future__ import annotations

from types import ModuleType

import pytest

from flowsdk.client.airflow_rows import TAGS_KEY
from flowsdk.datastore.tags import RunTags
from tests.flowsdk.client.fake_airflow import INSTANCE_FILTERS, RUN_FILTERS, dag_run, task_instance

_MODELS = "airflow.api_fastapi.core_api.datamodels"


@pytest.fixture(scope="module")
def runs() -> ModuleType:
    module: ModuleType = pytest.importorskip(f"{_MODELS}.dag_run")
    return module


@pytest.fixture(scope="module")
def instances() -> ModuleType:
    module: ModuleType = pytest.importorskip(f"{_MODELS}.task_instances")
    return module


@pytest.mark.parametrize("state", ["queued", "running", "success", "failed"])
def test_dag_runs(runs: ModuleType, state: str) -> None:
    row = dag_run("F", "r", state, 1)
    parsed = runs.DAGRunResponse.model_validate(row)
    assert set(row) == set(parsed.model_dump())


@pytest.mark.parametrize("state", [None, "queued", "running", "deferred", "up_for_retry", "failed"])
def test_task_instances(instances: ModuleType, state: str | None) -> None:
    row = task_instance("F", "r", "start", state)
    parsed = instances.TaskInstanceResponse.model_validate(row)
    assert set(row) == set(parsed.model_dump(by_alias=True))


@pytest.mark.parametrize("model", ["XComCreateBody", "XComUpdateBody"])
def test_tags_are_written_in_a_shape_that_airflow_takes(model: str) -> None:
    xcoms: ModuleType = pytest.importorskip(f"{_MODELS}.xcom")
    body = {"value": RunTags(("ä",), ("user:ann",)).to_dict(), "map_index": -1}
    if model == "XComCreateBody":
        body["key"] = TAGS_KEY
    assert getattr(xcoms, model).model_validate(body).model_dump() == body


def test_filters_exist(runs: ModuleType, instances: ModuleType) -> None:
    assert set(runs.DAGRunsBatchBody.model_fields) >= RUN_FILTERS
    assert set(instances.TaskInstancesBatchBody.model_fields) >= INSTANCE_FILTERS
