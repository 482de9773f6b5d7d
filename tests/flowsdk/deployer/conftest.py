from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flowsdk.client.fake_airflow import serve
from tests.flowsdk.deployer.deploying_airflow import DeployingAirflow

FLOW = '''"""A flow that is deployed."""

from flowsdk import FlowSpec, IncludeFile, Parameter, schedule, step
from beside import NAME


@schedule(cron="0 6 * * *", timezone="Europe/Berlin")
class DeployedFlow(FlowSpec):
    """Says hello."""

    alpha = Parameter("alpha", default=1, help="how much: 100%")
    wait = Parameter("wait", default="a parameter that is called like an option")
    words = IncludeFile("words", default="words.txt")

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    DeployedFlow()
'''


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """An empty dags folder."""
    folder = tmp_path / "dags"
    folder.mkdir()
    return folder


@pytest.fixture
def flow_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A flow file with a module, a package and a text beside it."""
    folder = tmp_path / "project"
    (folder / "pkg").mkdir(parents=True)
    (folder / "hello_flow.py").write_text(FLOW)
    (folder / "beside.py").write_text("from pkg import more\nNAME = 'n'\n")
    (folder / "pkg" / "__init__.py").write_text("")
    (folder / "pkg" / "more.py").write_text("")
    (folder / "words.txt").write_text("one two")
    (folder / "unrelated.py").write_text("")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FLOWSDK_USER", "tester")
    monkeypatch.delenv("AIRFLOW_HOME")
    return folder / "hello_flow.py"


@pytest.fixture
def airflow(dags: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeployingAirflow]:
    """An Airflow that parses the dags folder."""
    with serve(DeployingAirflow(folder=dags)) as server:
        monkeypatch.setenv("FLOWSDK_AIRFLOW_URL", server.url)
        monkeypatch.setenv("FLOWSDK_DAGS_FOLDER", str(dags))
        server.params["DeployedFlow"] = {"alpha": {"value": 1}, "some-words": {"value": None}}
        yield server
