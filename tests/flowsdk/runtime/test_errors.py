"""What is told of an exception is what its author can act on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from flowsdk.artifacts.serializer import serialize
from flowsdk.exception import FlowException, UnpicklableArtifact
from flowsdk.runtime.errors import user_traceback
from tests.flowsdk.flows import run_flow, write_flow


def raised_by_flowsdk() -> FlowException:
    """An error of flowsdk's own with libraries in its causes, as a task's process sees it."""
    with pytest.raises(UnpicklableArtifact) as raised:
        serialize([threading.Lock()], "guard")
    # A task's process is started by flowsdk: there is no caller of the user's.
    return raised.value.with_traceback(raised.tb.tb_next)


def test_what_flowsdk_itself_has_found_is_told_without_a_traceback() -> None:
    told = user_traceback(raised_by_flowsdk())
    assert told.startswith("flowsdk.exception.UnpicklableArtifact: Artifact 'guard'")
    assert "Traceback" not in told


def test_a_cause_in_the_users_code_is_kept() -> None:
    error = raised_by_flowsdk()
    try:
        raise KeyError("mine")
    except KeyError as cause:
        error.__cause__ = cause
    told = user_traceback(error)
    assert "KeyError: 'mine'" in told
    assert "Traceback" in told


def test_what_flowsdk_says_of_a_users_exception_follows_it_without_lines_of_flowsdk() -> None:
    error = raised_by_flowsdk()
    try:
        raise SystemExit(3)
    except SystemExit as cause:
        error.__cause__ = cause
    told = user_traceback(error)
    assert "SystemExit: 3\n\nThe above exception was the direct cause" in told
    assert "serializer.py" not in told
    assert told.splitlines()[-1].startswith("flowsdk.exception.UnpicklableArtifact: Artifact")


def test_a_traceback_begins_with_the_users_own_code() -> None:
    """flowsdk calls a decorator of the user's through contextlib, which is none of theirs."""

    @contextmanager
    def own() -> Iterator[None]:
        json.loads("{")
        yield

    stack = ExitStack()
    with pytest.raises(ValueError, match="Expecting") as raised:
        stack.enter_context(own())
    told = user_traceback(raised.value.with_traceback(raised.tb.tb_next))
    lines = [line for line in told.splitlines() if line.startswith("  File")]
    assert "in own" in lines[0]
    assert "in raw_decode" in lines[-1] or "in decode" in lines[-1]


def test_a_failed_step_shows_no_line_of_flowsdk(tmp_path: Path) -> None:
    body = """
    import threading

    class Locked(FlowSpec):
        @step
        def start(self):
            self.guard = threading.Lock()
            self.next(self.end)

        @step
        def end(self):
            pass

    if __name__ == "__main__":
        Locked()
    """
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 1
    assert "flowsdk/artifacts" not in done.stdout + done.stderr
    assert "flow.py:8" in done.stderr.splitlines()[-1]
