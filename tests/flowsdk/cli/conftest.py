from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowsdk.cli.flow import main
from flowsdk.client import default_metadata, default_namespace
from flowsdk.flow import FlowSpec
from tests.flowsdk.client.hello_flow import HelloFlow
from tests.flowsdk.client.recorded import record


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@dataclass(frozen=True)
class Recorded:
    root: str
    good: str
    failed: str


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A datastore with a run that succeeded and one that failed."""
    root = str(tmp_path_factory.mktemp("cli") / "root")
    return Recorded(root, record(root), record(root, alpha="-1"))


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Cli]:
    """Calls the command line of a flow, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["hello_flow.py"])
    monkeypatch.setenv("FLOWSDK_USER", "tester")

    def call(*arguments: str, flow: type[FlowSpec] = HelloFlow) -> Outcome:
        code = main(flow, arguments)
        return Outcome(code, *capsys.readouterr())

    yield call
    default_metadata()
    default_namespace()
