from __future__ import annotations

import os
import signal

import pytest

from flowsdk.exception import Interrupted
from flowsdk.runtime import interrupt
from flowsdk.runtime.interrupt import HOST_ENDS, StopReason, interruptible, stopped_for


@pytest.fixture
def reason(monkeypatch: pytest.MonkeyPatch) -> StopReason:
    monkeypatch.setattr(interrupt, "_reason", None)
    found = StopReason()
    stopped_for(found)
    return found


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ((), HOST_ENDS),
        (("its gang has failed",), "its gang has failed"),
        (("a longer reason", "short"), "short"),
        (("ä" * 3000,), "ä" * 511),
    ],
)
def test_a_stopped_task_says_why(reason: StopReason, told: tuple[str, ...], said: str) -> None:
    for text in told:
        reason.tell(text)
    with (
        pytest.raises(Interrupted, match=rf"^Step 's' was stopped \(SIGTERM\): {said}\.$"),
        interruptible("s", None),
    ):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_fork_reads_what_its_parent_tells() -> None:
    reason = StopReason()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reader, 1)
        os._exit(0 if reason.text == "enough" else 1)
    reason.tell("enough")
    os.write(writer, b"x")
    assert os.waitpid(child, 0)[1] == 0
    os.close(reader)
    os.close(writer)
