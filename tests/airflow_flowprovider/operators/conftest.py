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
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"IMAGE": "python:3", "JOB_QUEUE": "q", "SYNC_WINDOW": "0"}.items():
        monkeypatch.setenv(f"AIRFLOW__FLOWPROVIDER__{name}", value)


@pytest.fixture
def driver(configured: None, fake: FakeBatch, store: FlowDatastore, xcoms: XComs) -> Driver:
    return Driver(fake, store, xcoms)
