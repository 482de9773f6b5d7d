from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowsdk.client import default_metadata, default_namespace, metadata
from tests.flowsdk.client.recorded import record

#: Who has run everything that is recorded.
USER = "ann"
AIRFLOW_RUN = "manual__2020-01-02T03:04:05.000006+00:00_Ab"


@dataclass(frozen=True)
class Recorded:
    root: str
    good: str
    failed: str


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A datastore with a run that succeeded and a later one that failed."""
    root = str(tmp_path_factory.mktemp("client") / "root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWSDK_USER", USER)
        good = record(root, tags=("nightly",))
        failed = record(root, alpha="-1")
    return Recorded(root, good, failed)


@pytest.fixture
def runs(recorded: Recorded) -> Recorded:
    """The same, with the client looking there."""
    metadata(f"local@{recorded.root}")
    return recorded


@pytest.fixture(autouse=True)
def no_choice_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins with the default provider and namespace, in a folder without runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWSDK_USER", USER)
    default_metadata()
    default_namespace()
    yield
    default_metadata()
    default_namespace()
