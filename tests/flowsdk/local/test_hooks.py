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

def leaving():
    raise SystemExit(7)

@exit_hook(on_success=[plain, broken, leaving, told])
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
    assert "Exit hook leaving failed:" in done.stderr


def test_after_a_failure_the_users_error_is_still_the_last_word(tmp_path: Path) -> None:
    done = run_flow(write_flow(tmp_path, FLOW), "run", "--fail", "True")
    assert done.returncode == 1
    assert "plain" not in done.stdout
    assert done.stdout.splitlines()[-1].endswith(" failed None")
    assert "RuntimeError: hook broke" in done.stderr
    assert done.stderr.splitlines()[-1] == "ValueError: the user's own"


def test_a_run_that_ends_by_the_scheduler_or_by_a_signal_calls_them_too(tmp_path: Path) -> None:
    body = FLOW.replace(
        "self.next(self.end)", "self.xs = 'abc'; self.next(self.a, foreach='xs')", 1
    )
    body = body.replace(
        "    @step\n    def end",
        "    @step\n    def a(self):\n        self.next(self.j)\n"
        "    @step\n    def j(self, inputs):\n        self.next(self.end)\n    @step\n    def end",
    )
    done = run_flow(write_flow(tmp_path, body), "run", "--max-num-splits", "2")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith(" failed None")
    assert "expected at most 2" in done.stderr.splitlines()[-1]


def test_a_command_line_that_starts_no_run_calls_none(tmp_path: Path) -> None:
    done = run_flow(write_flow(tmp_path, FLOW), "run", "--run-id-file", str(tmp_path / "no" / "id"))
    assert done.returncode == 2
    assert "told" not in done.stdout


def test_tasks_do_not_call_hooks(tmp_path: Path) -> None:
    done = run_flow(write_flow(tmp_path, FLOW), "run")
    assert sum(line.startswith("plain") for line in done.stdout.splitlines()) == 1
