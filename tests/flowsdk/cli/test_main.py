from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk import __version__
from flowsdk.cli.main import main
from flowsdk.client import default_metadata
from tests.flowsdk.cli.conftest import Recorded


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    default_metadata()
    return tmp_path


def test_status(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWSDK_DATASTORE", recorded.root)
    assert main(["status"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"flowsdk {__version__}",
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
