from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.datastore import FlowDatastore
from tests.airflow_flowprovider.operators.driver import Driver
from tests.airflow_flowprovider.operators.fakes import FLOW, XComs
from tests.flowsdk.aws_batch.fakes import FakeBatch


@pytest.fixture
def fake() -> FakeBatch:
    return FakeBatch()


@pytest.fixture
def jobs(fake: FakeBatch) -> BatchJobs:
    return BatchJobs(fake)


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    return FlowDatastore.at(str(tmp_path / "root"), FLOW)


@pytest.fixture
def xcoms() -> XComs:
    return {}


@pytest.fixture
def defaults() -> BatchDefaults:
    return BatchDefaults(queue="q", image="python:3")


@pytest.fixture
def driver(
    fake: FakeBatch, store: FlowDatastore, xcoms: XComs, monkeypatch: pytest.MonkeyPatch
) -> Driver:
    for name, value in {"IMAGE": "python:3", "JOB_QUEUE": "q", "SYNC_WINDOW": "0"}.items():
        monkeypatch.setenv(f"AIRFLOW__FLOWPROVIDER__{name}", value)
    return Driver(fake, store, xcoms)
