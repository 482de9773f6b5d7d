from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_flowprovider.triggers import batch, poller
from airflow_flowprovider.triggers.poller import Clients, PollerKey
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.datastore import FlowDatastore, open_storage
from tests.flowsdk.aws_batch.fakes import FakeBatch

KEY = PollerKey("aws_default", None)


@pytest.fixture
def fake() -> FakeBatch:
    fake = FakeBatch()
    for number in range(3):
        add_job(fake, f"job-{number}")
    return fake


def add_job(fake: FakeBatch, job_id: str) -> None:
    fake.jobs[job_id] = {
        "jobId": job_id,
        "jobName": "n",
        "jobQueue": "arn:aws:batch:r:1:job-queue/q",
        "status": "RUNNING",
        "createdAt": 0,
        "container": {"resourceRequirements": [{"type": "VCPU", "value": "4"}]},
    }


@pytest.fixture
def connections(fake: FakeBatch, monkeypatch: pytest.MonkeyPatch) -> list[PollerKey]:
    """Let triggers use the fake; every connection that is made."""
    made: list[PollerKey] = []

    def connect(key: PollerKey) -> Clients:
        made.append(key)
        return Clients(BatchJobs(fake), open_storage)

    for module in (poller, batch):
        monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__REQUESTS_PER_SECOND", "100000")
    return made


@pytest.fixture(autouse=True)
def nothing_is_left(connections: list[PollerKey]) -> Iterator[None]:
    yield
    assert not any(triggerer.pollers for triggerer in poller._triggerers.values())


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    return FlowDatastore.at(str(tmp_path), "MyFlow")
