from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.exception import UsageError
from flowsdk.local.root import default_root, s3_root


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project" / "flows"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_a_new_folder_here(here: Path) -> None:
    assert default_root() == str(here / ".flowsdk")


def test_the_nearest_folder_upwards(here: Path) -> None:
    for folder in (here.parent.parent, here.parent):
        (folder / ".flowsdk").mkdir()
        assert default_root() == str(folder / ".flowsdk")


def test_the_environment_comes_first(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".flowsdk").mkdir()
    monkeypatch.setenv("FLOWSDK_DATASTORE", "s3://bucket/prefix")
    assert default_root() == s3_root() == "s3://bucket/prefix"
    assert default_root(folder=True) == str(here / ".flowsdk")
    monkeypatch.setenv("FLOWSDK_DATASTORE", "shared")
    assert default_root() == default_root(folder=True) == "shared"


def test_s3_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWSDK_DATASTORE", "shared")
    with pytest.raises(UsageError, match="Set FLOWSDK_DATASTORE, or pass --datastore-root"):
        s3_root()
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_S3", "s3://bucket/metaflow")
    assert s3_root() == "s3://bucket/metaflow"
