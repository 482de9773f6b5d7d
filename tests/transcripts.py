"""Records ``python score.py run`` in a terminal and piped, for ``docs/transcripts``.

``python -m tests.transcripts`` writes the files anew; ``tests/test_transcripts.py`` compares them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from tests.flowsdk.cli.screen import Screen

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "transcripts"
#: Where the flow lies, as far as readers are concerned.
FOLDER = "/home/ann/flows"
_COLUMNS, _ROWS = 100, 24
_DEADLINE_SECONDS = 60

FLOW = '''\
import os
import time

from flowsdk import FlowSpec, Parameter, current, retry, step


class ScoreFlow(FlowSpec):
    """Scores some candidates and keeps the best."""

    limit = Parameter("limit", default=200, help="the best score that can be right")

    @step
    def start(self):
        print("scoring 12 candidates")
        self.candidates = list(range(12))
        self.next(self.score, foreach="candidates")

    @retry(times=1, minutes_between_retries=0)
    @step
    def score(self):
        if self.input == 3 and current.retry_count == 0:
            raise ConnectionError("no answer from the feature store")
        while self.input > 3 and os.path.exists("hold"):
            time.sleep(0.01)
        self.points = self.input**2
        self.next(self.join)

    @step
    def join(self, inputs):
        self.best = max(branch.points for branch in inputs)
        print("best score", self.best)
        self.next(self.end)

    @step
    def end(self):
        check(self.best, self.limit)


def check(best, limit):
    if best > limit:
        raise ValueError(f"{best} points, and there are only {limit} to win")


if __name__ == "__main__":
    ScoreFlow()
'''
_COMMANDS = (["run", "--max-workers", "4"], ["run", "--max-workers", "4", "--limit", "100"])
_PIPED = (["run", "--max-workers", "1"], ["run", "--max-workers", "1", "--limit", "100"])


def piped() -> str:
    """Both runs with the output in a pipe: nothing but lines."""
    with _flow() as (folder, environment):
        parts = []
        for arguments in _PIPED:
            done = subprocess.run(
                [sys.executable, "score.py", *arguments],
                cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, timeout=_DEADLINE_SECONDS, check=False,
            )  # fmt: skip
            words = f"$ python score.py {' '.join(arguments)} 2>&1 | cat"
            parts.append(f"{words}\n{done.stdout}(exit code {done.returncode})\n")
    return _told("\n".join(parts), folder)


def terminal() -> str:
    """Both runs in a terminal: what is on the screen in the middle of the first, and at each end."""
    with _flow() as (folder, environment):
        hold = folder / "hold"
        hold.touch()
        first = _Terminal(["score.py", *_COMMANDS[0]], folder, environment)
        middle = first.wait_for(r"score .* 3/12  4 running  1 to be")
        hold.unlink()
        end = first.wait()
        failed = _Terminal(["score.py", *_COMMANDS[1]], folder, environment).wait()
    runs = [f"$ python score.py {' '.join(arguments)}" for arguments in _COMMANDS]
    text = f"{runs[0]}\n{middle}\n\n(a moment later)\n\n{runs[0]}\n{end}\n\n{runs[1]}\n{failed}\n"
    return _told(text, folder)


def masked(transcript: str) -> str:
    """A transcript without what differs from run to run: times, ids and the version."""
    for pattern, mask in (
        (r"\d{8}T\d{6}\.\d{6}-[0-9a-f]{4}", "RUN"),
        (r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{3}", "TIME"),
        (r"pid \d+", "pid N"),
        (r"\d+\.\d s\b", "SECONDS"),
        (r"flowsdk [\d.]+\S* executing", "flowsdk VERSION executing"),
    ):
        transcript = re.sub(pattern, mask, transcript)
    return transcript


@contextlib.contextmanager
def _flow() -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with the flow in it, and the environment to run it in."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "score.py").write_text(FLOW, "utf-8")
        yield folder, {
            "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT),
            "FLOWSDK_USER": "ann", "TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C.UTF-8",
        }  # fmt: skip


def _told(text: str, folder: Path) -> str:
    return text.replace(str(folder), FOLDER)


class _Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._screen = Screen(_COLUMNS)
        self._pending = b""
        self._read, write = pty.openpty()
        fcntl.ioctl(write, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder, env=environment, stdin=write, stdout=write, stderr=write,
        )  # fmt: skip
        os.close(write)

    def wait_for(self, pattern: str) -> str:
        """The screen as soon as it shows ``pattern``."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not re.search(pattern, self._seen()):
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self._seen()}"
            assert self._more(), f"no {pattern!r} in:\n{self._seen()}"
        return self._seen()

    def wait(self) -> str:
        """The screen when the program has ended, with its exit code."""
        while self._more():
            pass
        os.close(self._read)
        return f"{self._seen()}\n(exit code {self._process.wait(_DEADLINE_SECONDS)})"

    def _more(self) -> bool:
        if not select.select([self._read], [], [], _DEADLINE_SECONDS)[0]:
            return False
        try:
            data = os.read(self._read, 65536)
        except OSError:  # Linux says so when the other end is closed
            return False
        self._pending += data
        whole, _, rest = self._pending.rpartition(b"\n")
        if whole:
            self._screen.feed((whole + b"\n").decode())
            self._pending = rest
        return bool(data)

    def _seen(self) -> str:
        return "\n".join(self._screen.lines())


if __name__ == "__main__":
    DOCS.mkdir(exist_ok=True)
    (DOCS / "run-terminal.txt").write_text(terminal(), "utf-8")
    (DOCS / "run-piped.txt").write_text(piped(), "utf-8")
