from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import flowsdk
from flowsdk import __version__
from flowsdk.cli.main import main
from flowsdk.cli.settings import MASK, PREFIXES, SETTINGS
from flowsdk.client import default_metadata, default_namespace
from tests.flowsdk.cli.conftest import Recorded


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    default_metadata()
    yield tmp_path
    default_namespace()


def test_status(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWSDK_DATASTORE", recorded.root)
    monkeypatch.setenv("FLOWSDK_USER", "tester")
    assert main(["status"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"flowsdk {__version__}",
        "User:       tester",
        f"Datastore:  {recorded.root}",
        f"Metadata:   local@{recorded.root}",
        "Flows:",
        "    HelloFlow  2 runs",
    ]


def test_status_where_nothing_has_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert "No flow has run here yet." in out
    assert not (here / ".flowsdk").exists()


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"
    assert main([]) == main(["help"]) == main(["--help"]) == 0
    assert "status" in capsys.readouterr().out


def test_wrong_use(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sttus"]) == 2
    assert "Did you mean 'status'" in capsys.readouterr().err
    monkeypatch.setenv("FLOWSDK_METADATA", "nonsense")
    assert main(["status"]) == 2
    assert "expected local@/folder" in capsys.readouterr().err


def test_status_as_json(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWSDK_DATASTORE", recorded.root)
    assert main(["status", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["flows"] == {"HelloFlow": 2}
    assert facts["datastore"] == recorded.root


def test_settings_are_shown_with_their_source_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FLOWSDK_USER", raising=False)
    monkeypatch.setenv("METAFLOW_USER", "ann")
    monkeypatch.setenv("FLOWSDK_AIRFLOW_PASSWORD", "s3cret")
    monkeypatch.setenv("FLOWSDK_RUN_KEY", "s3cret")
    assert main(["configure", "show"]) == 0
    out = capsys.readouterr().out
    assert "FLOWSDK_USER = ann  (from METAFLOW_USER)\n" in out
    assert f"FLOWSDK_AIRFLOW_PASSWORD = {MASK}\n" in out
    assert f"FLOWSDK_RUN_KEY = {MASK}\n" in out
    assert "FLOWSDK_DAGS_FOLDER not set\n" in out
    assert "s3cret" not in out
    assert main(["configure", "show", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["FLOWSDK_USER"]["source"] == "METAFLOW_USER"


def test_every_variable_that_the_code_reads_is_among_the_settings() -> None:
    known = {name for setting in SETTINGS for name in (setting.name, *setting.aliases)}
    source = Path(flowsdk.__file__).parent
    read = {
        name
        for path in source.rglob("*.py")
        for name in re.findall(r'"(FLOWSDK_[A-Z0-9_]+)"', path.read_text("utf-8"))
    }
    assert read, "the pattern finds something"
    assert read - known - {*PREFIXES, "FLOWSDK_BATCH_", "FLOWSDK_"} == set()


def test_tutorials(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tutorials", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"].split("-")[0] for entry in listed] == ["00", "01", "02", "03"]
    assert main(["tutorials", "list"]) == 0
    assert f"{listed[0]['name']}  " in capsys.readouterr().out
    assert main(["tutorials", "pull", "--to", "mine", "helloworld"]) == 0
    assert [path.name for path in (here / "mine").iterdir()] == ["00-helloworld"]
    assert main(["tutorials", "pull", "--to", "mine"]) == 2, "what is there may be somebody's work"
    assert "Remove it, or choose another folder" in capsys.readouterr().err
    assert main(["tutorials", "pull"]) == 0
    pulled = sorted(path.name for path in (here / "flowsdk-tutorials").iterdir())
    assert pulled == [entry["name"] for entry in listed]
    capsys.readouterr()
    assert main(["tutorials", "info", "00-helloworld"]) == 0
    assert capsys.readouterr().out.startswith("# 00")
    assert main(["tutorials", "info", "00-heloworld"]) == 1
    assert "Did you mean '00-helloworld'" in capsys.readouterr().err
