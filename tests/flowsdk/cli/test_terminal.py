from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flowsdk import FlowSpec, step
from flowsdk.cli.progress import reporter
from flowsdk.cli.terminal import LiveReporter, StatusBoard, printable
from flowsdk.flow import graph_of
from flowsdk.runtime.logs import LogLine
from flowsdk.spec import ErrorInfo, Splits, TaskResult, TaskSpec
from tests.flowsdk.cli.screen import Screen


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def spec(name: str, task: str = "0", attempt: int = 0) -> TaskSpec:
    return TaskSpec("F", "1", name, task, attempt, "/root")


def result(name: str, task: str = "0", *, splits: int = 0, next_step: str = "") -> TaskResult:
    made = Splits("xs", splits, "d" * 64, ("x",) * splits) if splits else None
    following = (next_step,) if next_step else ()
    return TaskResult("F", "1", name, task, 0, "succeeded", "", "", next=following, splits=made)


def failed(name: str, task: str = "0") -> TaskResult:
    error = ErrorInfo("user", "builtins.ValueError", "no")
    return replace(result(name, task), status="failed", error=error)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> StatusBoard:
    """A run that has got to the middle of a foreach over 50 elements."""
    board = StatusBoard(colour=False, clock=clock)
    board.started("start", "0")
    clock.now += 0.25
    board.ended(result("start", splits=50, next_step="score"), again=False)
    for index in range(46):
        board.started("score", str(index))
    clock.now += 12.3
    for index in range(36):
        board.ended(result("score", str(index)), again=False)
    board.ended(failed("score", "36"), again=False)
    board.ended(failed("score", "37"), again=True)
    return board


def test_a_line_for_each_step_with_counts(board: StatusBoard) -> None:
    assert board.lines(200, 10) == [
        "✓ start                         1/1   0.2 s",
        "✗ score  ██████████████░░░░░░  37/50  8 running  1 failed  1 to be tried again  12.3 s",
    ]


def test_a_retry_is_counted_once(board: StatusBoard, clock: Clock) -> None:
    board.started("score", "37")
    assert "9 running  1 failed  12.3 s" in board.lines(200, 10)[1]
    clock.now += 120
    assert board.lines(200, 10)[1].endswith("2 min 12 s")
    assert board.lines(200, 10)[0].endswith("0.2 s"), "what is over stands still"


class NestedFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.load, foreach="xs")

    @step
    def load(self):
        self.next(self.inner, foreach="ys")

    @step
    def inner(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.judge)

    @step
    def judge(self):
        self.next({"yes": self.keep, "no": self.drop}, condition="verdict")

    @step
    def keep(self):
        self.next(self.meet)

    @step
    def drop(self):
        self.next(self.meet)

    @step
    def meet(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


def test_a_foreach_says_what_is_certain_to_come_of_it(clock: Clock) -> None:
    board = StatusBoard(colour=False, clock=clock)
    board.begin(graph_of(NestedFlow))
    board.started("start", "0")
    board.ended(result("start", splits=7, next_step="load"), again=False)
    board.started("load", "0")
    board.ended(result("load", splits=3, next_step="inner"), again=False)
    for name in ("inner", "gather", "judge", "keep", "join"):
        board.started(name, "0")
    counts = {line.split()[1]: line.split()[3] for line in board.lines(200, 20)[1:]}
    assert counts == {
        "load": "1/7", "inner": "0/3", "gather": "0/7", "judge": "0/7", "keep": "1", "join": "1",
    }  # fmt: skip


@pytest.mark.parametrize("width", [1, 10, 30, 79])
def test_no_line_is_wider_than_the_terminal(board: StatusBoard, width: int) -> None:
    assert all(len(line) <= width for line in board.lines(width, 10))


def test_where_there_is_little_room_what_is_over_goes_first(board: StatusBoard) -> None:
    assert [line.split()[1] for line in board.lines(80, 1)] == ["2"]
    for name in ("a", "b", "c"):
        board.started(name, "0")
    shown = board.lines(80, 3)
    assert shown[0] == "… 3 more steps"
    assert [line.split()[1] for line in shown[1:]] == ["b", "c"]


def test_ascii_and_colours(clock: Clock) -> None:
    plain = StatusBoard(colour=False, ascii_only=True, clock=clock)
    painted = StatusBoard(clock=clock)
    for board in (plain, painted):
        board.started("a_step", "0")
        board.started("a_step", "1")
        board.ended(result("a_step", "1"), again=False)
    [line] = plain.lines(80, 5)
    assert line.isascii()
    assert "##########----------" in line
    [line] = painted.lines(80, 5)
    assert line.startswith("\x1b[33m● a_step\x1b[0m")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("a\tb", "a       b"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m\x1b[0m"),
        ("\x1b[2J\x1b[5A\x1b[?25lgone", "gone"),
        ("\x1b]0;title\x07text", "text"),
        (" 10%\r 50%\r100%", "100%"),
        ("done\r", "done"),
        ("bell\a\x00 \x9b2J \x1b", "bell 2J "),
        ("ä→✓", "ä→✓"),
    ],
)
def test_what_tasks_print_cannot_move_the_cursor(text: str, seen: str) -> None:
    assert printable(text) == seen


class Terminal:
    """A pseudo-terminal and what a person would see on it."""

    def __init__(self, columns: int, rows: int) -> None:
        self._reader, writer = os.openpty()
        self.out = os.fdopen(writer, "w", encoding="utf-8")
        self.resize(columns, rows)
        self.screen = Screen(columns)

    def resize(self, columns: int, rows: int) -> None:
        import fcntl
        import struct
        import termios

        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.out.fileno(), termios.TIOCSWINSZ, size)

    def seen(self) -> list[str]:
        os.set_blocking(self._reader, False)
        try:
            while data := os.read(self._reader, 65536):
                self.screen.feed(data.decode())
        except BlockingIOError:
            pass
        return self.screen.lines()

    def close(self) -> None:
        self.out.close()
        os.close(self._reader)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal(60, 24)
    yield made
    made.close()


def _line(text: str) -> LogLine:
    return LogLine(1_795_244_948_364, "stdout", text)


@pytest.fixture(autouse=True)
def always_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowsdk.cli.terminal._REDRAW_SECONDS", 0)
    monkeypatch.setenv("NO_COLOR", "1")


def test_output_scrolls_by_above_the_board(terminal: Terminal) -> None:
    reporter = LiveReporter(terminal.out)
    reporter.started(spec("start"), "pid 7")
    for text in ("one", "two " + "wide " * 20, "\x1b[3Athree"):
        reporter.lines(spec("start"), [_line(text)])
        reporter.tick()
    seen = terminal.seen()
    text = "".join(line.ljust(60) for line in seen)
    assert [word for word in ("] one", "] two", "wide wide", "] three") if word not in text] == []
    assert [line for line in seen if "start " in line and "running" in line] == [seen[-1]]


def test_ten_thousand_tasks_take_a_line_and_not_ten_thousand(terminal: Terminal) -> None:
    reporter = LiveReporter(terminal.out)
    reporter.started(spec("start"), "pid 1")
    reporter.ended(result("start", splits=1000, next_step="score"), None)
    for index in range(1000):
        reporter.started(spec("score", str(index)), f"pid {index}")
        reporter.ended(result("score", str(index)), None)
        terminal.seen()
    reporter.finish(True)
    seen = terminal.seen()
    assert len(seen) == 3
    assert "1000/1000" in seen[1]
    assert seen[2].endswith("Done!")


def test_a_terminal_that_becomes_narrower(terminal: Terminal) -> None:
    reporter = LiveReporter(terminal.out)
    reporter.started(spec("start"), "pid 1")
    reporter.ended(result("start", splits=40, next_step="score"), None)
    reporter.started(spec("score", "0"), "pid 2")
    terminal.seen()
    terminal.resize(30, 24)
    terminal.screen.reflow(30)
    reporter.tick()
    assert [line.split()[1] for line in terminal.seen()] == ["start", "score"]


def test_failures_are_told_and_stay(terminal: Terminal) -> None:
    reporter = LiveReporter(terminal.out)
    reporter.started(spec("start"), "pid 1")
    reporter.ended(failed("start"), 1.5)
    reporter.started(spec("start", attempt=1), "pid 2")
    reporter.ended(failed("start"), None)
    reporter.finish(False)
    seen = terminal.seen()
    assert "Task failed; it will be tried again in 1.5 seconds." in "".join(
        line.ljust(60) for line in seen
    )
    assert seen[-1].endswith("Workflow failed.")
    assert seen[-2].startswith("✗ start")


def test_closing_leaves_the_cursor_below_everything(terminal: Terminal, tmp_path: Path) -> None:
    with LiveReporter(terminal.out) as reporter:
        reporter.started(spec("start"), "pid 1")
    terminal.out.write("prompt")
    terminal.out.flush()
    assert terminal.seen()[-1] == "prompt"


@pytest.mark.parametrize(
    ("term", "quiet", "json", "kind"),
    [
        ("xterm", False, False, "LiveReporter"),
        ("dumb", False, False, "PlainReporter"),
        (None, False, False, "PlainReporter"),
        ("xterm", True, False, "PlainReporter"),
        ("xterm", False, True, "JsonReporter"),
    ],
)
def test_the_board_is_for_terminals_that_can_show_it(
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    term: str | None,
    quiet: bool,
    json: bool,
    kind: str,
) -> None:
    monkeypatch.setattr("sys.stdout", terminal.out)
    if term:
        monkeypatch.setenv("TERM", term)
    else:
        monkeypatch.delenv("TERM", raising=False)
    made = reporter(argparse.Namespace(quiet=quiet, json=json))
    monkeypatch.undo()
    assert type(made).__name__ == kind
