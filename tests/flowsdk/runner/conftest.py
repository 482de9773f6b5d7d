from __future__ import annotations

from pathlib import Path

import pytest

FLOW = '''
import time
from pathlib import Path

from flowsdk import FlowSpec, JSONType, Parameter, step
from beside import NAME


class SmallFlow(FlowSpec):
    """Adds numbers."""

    numbers = Parameter("some-numbers", type=int, separator=",", default="1,2")
    doc = Parameter("doc", type=JSONType, default=None)
    text = Parameter("text", default="")
    fail = Parameter("fail", default=False)
    wait_for = Parameter("wait_for", default="")

    @step
    def start(self):
        print(f"hello {NAME}")
        while self.wait_for and not Path(self.wait_for).exists():
            time.sleep(0.02)
        self.next(self.end)

    @step
    def end(self):
        if self.fail:
            raise ValueError("as asked")
        self.total = sum(self.numbers)


if __name__ == "__main__":
    SmallFlow()
'''


@pytest.fixture
def flow_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A flow file with a module beside it, in a folder of its own; runs go to the current one."""
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "small_flow.py").write_text(FLOW)
    (folder / "beside.py").write_text("NAME = 'neighbour'\n")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("FLOWSDK_USER", "tester")
    return folder / "small_flow.py"
