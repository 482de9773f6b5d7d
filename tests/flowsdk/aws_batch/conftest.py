from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.datastore import FlowDatastore
from flowsdk.spec import TaskSpec
from tests.flowsdk.aws_batch.fakes import FakeBatch


@pytest.fixture
def fake() -> FakeBatch:
    return FakeBatch()


@pytest.fixture
def jobs(fake: FakeBatch) -> BatchJobs:
    return BatchJobs(fake)


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    return FlowDatastore.at(str(tmp_path), "MyFlow")


@pytest.fixture
def defaults() -> BatchDefaults:
    return BatchDefaults(queue="q", image="python:3")


@pytest.fixture
def spec(tmp_path: Path) -> TaskSpec:
    return TaskSpec("MyFlow", "run-1", "train", "3", 0, str(tmp_path), user="ada")
