"""A run in a terminal: what tasks print scrolls by above one status line for each step."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

from flowsdk.cli.progress import PlainReporter, local_time
from flowsdk.graph import FlowGraph
from flowsdk.runtime.logs import LogLine
from flowsdk.spec import RunSpec, TaskResult, TaskSpec

#: Between two redraws, in seconds: faster than people read, slow enough for a remote terminal.
_REDRAW_SECONDS = 0.1
_BAR = 20
_MAX_NAME = 32
#: Rows left to what scrolls, however many steps there are.
_ROWS_ABOVE = 4
_RED, _GREEN, _YELLOW, _DIM = "31", "32", "33", "2"
#: Escape sequences; of these, only colours (ending in ``m``) cannot move the cursor.
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-9;:?<=>]*[ -/]*(?P<final>[@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;:]*m)")


@dataclass
class StepCount:
    """How many tasks of a step there are, and where they stand.

    Attributes:
        expected: How many are known to come, those that have ended included.
        running: How many attempts are out.
        done: How many have succeeded.
        failed: How many have failed for good.
        waiting: How many are to be tried again.
        reused: How many of those that have succeeded did so in an earlier run.
        begun: When the first one started, on the clock of the board.
        ended: When the last one ended.
    """

    expected: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    waiting: int = 0
    reused: int = 0
    begun: float | None = None
    ended: float = 0.0

    @property
    def total(self) -> int:
        """How many tasks there are, as far as it is known."""
        return max(self.expected, self.running + self.done + self.failed + self.waiting)

    @property
    def over(self) -> bool:
        """Whether nothing of it is running or known to come."""
        return self.done + self.failed == self.total


class StatusBoard:
    """Counts the tasks of a run and draws a line for each step.

    Args:
        colour: Use colours.
        ascii_only: Use nothing but ASCII.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        *,
        colour: bool = True,
        ascii_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._colour = colour
        self._full, self._empty, self._marks, self._more = (
            ("#", "-", {"done": "+", "failed": "x", "running": "*", "idle": "."}, "...")
            if ascii_only
            else ("█", "░", {"done": "✓", "failed": "✗", "running": "●", "idle": "○"}, "…")
        )
        self._clock = clock
        self._steps: dict[str, StepCount] = {}
        self._graph: FlowGraph | None = None
        self._again: set[tuple[str, str]] = set()

    def begin(self, graph: FlowGraph | None) -> None:
        """Take the graph, which says what a foreach leads to."""
        self._graph = graph

    def reused(self, result: TaskResult) -> None:
        """A task of an earlier run stands in for this one."""
        count = self._step(result.step)
        count.done += 1
        count.reused += 1
        self._expect(result)

    def started(self, step: str, task: str) -> None:
        """An attempt of a task has been launched."""
        count = self._step(step)
        if (step, task) in self._again:
            self._again.discard((step, task))
            count.waiting -= 1
        count.running += 1
        if count.begun is None:
            count.begun = self._clock()

    def ended(self, result: TaskResult, again: bool) -> None:
        """An attempt has ended, and is tried ``again`` or not."""
        count = self._step(result.step)
        count.running -= 1
        count.ended = self._clock()
        if result.succeeded:
            count.done += 1
        elif again:
            count.waiting += 1
            self._again.add((result.step, result.task))
        else:
            count.failed += 1
        self._expect(result)

    def lines(self, width: int, height: int) -> list[str]:
        """The board, at most ``height`` lines of at most ``width`` columns.

        Where there are more steps than lines, those that are over are summed up first.
        """
        shown = [
            (name, count)
            for name, count in self._steps.items()
            if count.done or count.begun is not None
        ]
        hidden = 0
        while len(shown) + bool(hidden) > max(1, height):
            at = next((i for i, (_, count) in enumerate(shown) if count.over), 0)
            del shown[at]
            hidden += 1
        name_width = min(_MAX_NAME, max((len(name) for name, _ in shown), default=0))
        total_width = max((len(str(count.total)) for _, count in shown), default=0)
        drawn = [self._line(*step, name_width, total_width, width) for step in shown]
        if hidden:
            drawn.insert(0, self._paint(f"{self._more} {hidden} more steps"[:width], _DIM))
        return drawn

    def _expect(self, result: TaskResult) -> None:
        if result.splits:
            for step in _body(self._graph, result.step) if self._graph else result.next:
                self._step(step).expected += result.splits.count

    def _step(self, name: str) -> StepCount:
        return self._steps.setdefault(name, StepCount())

    def _line(
        self, name: str, count: StepCount, name_width: int, total_width: int, width: int
    ) -> str:
        now = count.ended if count.over else self._clock()
        seconds = _duration(now - count.begun) if count.begun is not None else ""
        finished = count.done + count.failed
        filled = _BAR * finished // count.total if count.total else 0
        bar = self._full * filled + self._empty * (_BAR - filled)
        state, colour = _state(count)
        words = [
            (f"{self._marks[state]} {_cut(name, name_width, self._more):<{name_width}}", colour),
            (bar if count.total > 1 else " " * _BAR, ""),
            (f"{finished:>{total_width}}/{count.total:<{total_width}}", ""),
            (f"{count.running} running" if count.running else "", ""),
            (f"{count.failed} failed" if count.failed else "", _RED),
            (f"{count.waiting} to be tried again" if count.waiting else "", _YELLOW),
            (f"{count.reused} reused" if count.reused else "", _DIM),
            (seconds, _DIM),
        ]
        return self._join([word for word in words if word[0]], width)

    def _join(self, words: list[tuple[str, str]], width: int) -> str:
        """The words with two blanks between them, cut at ``width`` columns, then painted."""
        line, room = "", width
        for text, colour in words:
            gap = "  " if line else ""
            cut = text[: max(0, room - len(gap))]
            if not cut:
                break
            line += gap + self._paint(cut, colour)
            room -= len(gap) + len(cut)
        return line

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and self._colour else text


def _body(graph: FlowGraph, opener: str) -> set[str]:
    """The steps that are certain to run once for each split of a foreach or gang.

    Not those after a switch; and of a foreach within, its own splits only will tell.
    """
    found: set[str] = set()
    todo = list(graph[opener].next)
    while todo:
        name = todo.pop()
        node = graph[name]
        if name in found or node.join_of == opener:
            continue
        found.add(name)
        if node.foreach or node.num_parallel:
            todo.append(graph.join_for(name))
        elif node.kind != "switch":
            todo += node.next
    return found


class LiveReporter(PlainReporter):
    """Redraws a :class:`StatusBoard` below what scrolls by.

    How it works:
        Each write removes the board, prints what is new and draws the board again, in one go. The
        board never wraps, and a terminal that has become narrower since is reckoned with. The
        cursor stays visible and at the start of the line below, so that whatever ends this process
        leaves nothing to be put right.
    What it does not do:
        There is no thread: tasks are forks of this process. The scheduler's ticks move the clocks.

    Args:
        out: A terminal.
    """

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        unicode_works = (getattr(out, "encoding", None) or "").lower().startswith("utf")
        self._board = StatusBoard(
            colour=not os.environ.get("NO_COLOR"), ascii_only=not unicode_works
        )
        self._drawn: list[int] = []
        self._drawn_at = 0.0

    def begin(self, run: RunSpec, graph: FlowGraph | None = None) -> None:
        """Name the run."""
        self._board.begin(graph)
        super().begin(run, graph)

    def reused(self, run: str, results: Sequence[TaskResult]) -> None:
        """Count them."""
        for result in results:
            self._board.reused(result)
        super().reused(run, results)

    def started(self, spec: TaskSpec, name: str) -> None:  # noqa: ARG002  # lines name the task
        """Count it."""
        self._board.started(spec.step, spec.task)
        self.tick()

    def lines(self, spec: TaskSpec, lines: list[LogLine]) -> None:
        """What a task printed, without what would move the cursor."""
        super().lines(spec, [line._replace(text=printable(line.text)) for line in lines])

    def ended(self, result: TaskResult, again_in: float | None) -> None:
        """Count it; only a failure is worth a line."""
        self._board.ended(result, again_in is not None)
        if result.succeeded:
            self.tick()
        else:
            super().ended(result, again_in)

    def tick(self) -> None:
        """Redraw the board, unless that was done a moment ago."""
        if time.monotonic() - self._drawn_at >= _REDRAW_SECONDS:
            self._write("")

    def finish(self, succeeded: bool) -> None:
        """Leave the board where it is and say how the run has ended."""
        self.close()
        super().finish(succeeded)

    def close(self) -> None:
        """Draw the board for the last time."""
        if self._board is not _NO_BOARD:
            self._write("")
            self._board, self._drawn = _NO_BOARD, []
        super().close()

    def _task(self, task: TaskSpec | TaskResult) -> str:
        """Short: the run is one's own, and lines that wrap are hard to read."""
        return f"[{task.step}/{task.task}] "

    def _stamp(self, seconds: float | None = None) -> str:
        return f"{local_time(seconds):%H:%M:%S.%f}"[:-3]

    def _write(self, text: str) -> None:
        columns, rows = _size(self._out)
        board = self._board.lines(columns - 1, max(1, rows - _ROWS_ABOVE))
        above = sum(-(-max(1, width) // columns) for width in self._drawn)
        erase = f"\r\x1b[{above}A\x1b[J" if above else ""
        self._out.write(erase + text + "".join(f"{line}\n" for line in board))
        self._out.flush()
        self._drawn = [len(_ESCAPE.sub("", line)) for line in board]
        self._drawn_at = time.monotonic()


#: Of a reporter that has drawn its board for the last time.
_NO_BOARD = StatusBoard()


def printable(text: str) -> str:
    """A line of a task's output with colours, but without anything that moves the cursor.

    Of a line that overwrites itself (a progress bar), what was seen last is left.
    """
    seen = text.rstrip("\r").rpartition("\r")[2]
    plain = _ESCAPE.sub(lambda found: found[0] if found["final"] == "m" else "", seen)
    plain = _CONTROL.sub("", plain.expandtabs())
    return f"{plain}\x1b[0m" if "\x1b" in plain else plain


def _state(count: StepCount) -> tuple[str, str]:
    if count.failed:
        return "failed", _RED
    if count.over:
        return "done", _GREEN
    return ("running", _YELLOW) if count.running else ("idle", _DIM)


def _cut(name: str, width: int, more: str) -> str:
    return name if len(name) <= width else name[: width - len(more)] + more


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _size(out: TextIO) -> tuple[int, int]:
    """Columns and rows; a terminal that does not know is taken for the classic one."""
    try:
        columns, rows = os.get_terminal_size(out.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    return columns or 80, rows or 24
