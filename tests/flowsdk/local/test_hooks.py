"""Exit hooks: which are called, with what, and that they change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flowsdk.flows import run_flow, write_flow

FLOW = """
from flowsdk import Flow, exit_hook

def told(run):
    print("told", run.pathspec, run.status, run.data.x if run.successful else None)

def plain():
    print("plain", Flow("F").latest_run.status)

def broken(*args):
    raise RuntimeError("hook broke")

@exit_hook(on_success=[plain, broken, told])
@exit_hook(on_error=[told, broken])
class F(FlowSpec):
    fail = Parameter("fail", default=False)

    @step
    def start(self):
        self.x = 5
        if self.fail:
            raise ValueError("the user's own")
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    F()
"""


@pytest.mark.parametrize("resumed", [False, True])
def test_after_a_success(tmp_path: Path, resumed: bool) -> None:
    path = write_flow(tmp_path, FLOW)
    done = run_flow(path, "run")
    if resumed:
        done = run_flow(path, "resume")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    ended = next(i for i, line in enumerate(lines) if line.endswith("Done!"))
    assert lines[ended + 1] == "plain succeeded"
    assert lines[ended + 2].startswith("told F/2")
    assert lines[ended + 2].endswith(" succeeded 5")
    assert "Exit hook broken failed:" in done.stderr
    assert "RuntimeError: hook broke" in done.stderr


def test_after_a_failure_the_users_error_is_still_the_last_word(tmp_path: Path) -> None:
    done = run_flow(write_flow(tmp_path, FLOW), "run", "--fail", "True")
    assert done.returncode == 1
    assert "plain" not in done.stdout
    assert done.stdout.splitlines()[-1].endswith(" failed None")
    assert "RuntimeError: hook broke" in done.stderr
    assert done.stderr.splitlines()[-1] == "ValueError: the user's own"


def test_tasks_do_not_call_hooks(tmp_path: Path) -> None:
    done = run_flow(write_flow(tmp_path, FLOW), "run")
    assert sum(line.startswith("plain") for line in done.stdout.splitlines()) == 1
