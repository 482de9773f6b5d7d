from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.client import Flow, Run, default_metadata, get_metadata, metadata
from flowsdk.client.airflow_metadata import AirflowMetadata
from flowsdk.client.selection import current_provider, provider_of
from flowsdk.exception import NotFound, UsageError
from tests.flowsdk.client.conftest import Recorded


def test_the_default_is_the_datastore_of_this_folder(tmp_path: Path) -> None:
    assert get_metadata() == f"local@{tmp_path / '.flowsdk'}"


def test_a_datastore_above_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".flowsdk").mkdir()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert get_metadata() == f"local@{tmp_path / '.flowsdk'}"


def test_the_environment_chooses(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWSDK_DATASTORE", "s3://bucket/prefix")
    assert get_metadata() == "s3://bucket/prefix"
    monkeypatch.setenv("FLOWSDK_METADATA", f"local@{recorded.root}")
    assert get_metadata() == f"local@{recorded.root}"
    assert Flow("HelloFlow").latest_run


def test_metadata_says_what_it_chose_and_default_metadata_takes_it_back(tmp_path: Path) -> None:
    assert metadata("local@somewhere") == f"local@{tmp_path / 'somewhere'}" == get_metadata()
    assert metadata("s3://bucket/prefix/") == "s3://bucket/prefix"
    assert metadata("local@s3://bucket/prefix") == "s3://bucket/prefix"
    assert metadata("airflow@http://127.0.0.1:8080/") == "airflow@http://127.0.0.1:8080"
    assert isinstance(current_provider(), AirflowMetadata)
    assert default_metadata() == f"local@{tmp_path / '.flowsdk'}"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lokal@x", "Did you mean 'local'"),
        ("service@http://host", "expected local@/folder"),
        ("airflow", "expected local@/folder"),
        ("airflow@host:8080", "airflow@http://host:port"),
    ],
)
def test_what_is_no_provider(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        metadata(name)


def test_an_object_stays_with_the_provider_it_came_from(runs: Recorded, tmp_path: Path) -> None:
    run = Run(f"HelloFlow/{runs.good}")
    metadata(f"local@{tmp_path}")
    assert run["start"].task
    with pytest.raises(NotFound):
        Run(run.pathspec)


def test_a_provider_is_its_own_name(recorded: Recorded) -> None:
    provider = provider_of(f"local@{recorded.root}")
    assert provider_of(provider.name) is provider
