"""Carrying out a Markdown page: its files are written, its code is run, its output compared.

What a fenced block means depends on its first line:

- ```` ```python flow.py ```` (any language and a name): the text of a file in the page's folder.
- ```` ```python ````: code that is run; all of a page share one interpreter. A ```` ```text ````
  block right after it is what it prints.
- ```` ```console ````: lines that begin with ``$ `` are run by one bash, the others are what they
  print; where there are none nothing is compared. A command fails only if it says so:
  ``$ python flow.py run  # exit code 1``.

A line ``…`` stands for any lines, ``…`` within a line for any text. Times, run ids and the like differ
from run to run: they only have to be in the same places. A run id that a page has shown can be used
in its later commands.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: How the page's folder is called on the page.
SHOWN_FOLDER = "/home/alice/flows"

_FENCE = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RUN_ID = re.compile(r"\d{8}T\d{6}\.\d{6}-[0-9a-f]{4}")
_MASKS = (
    (_RUN_ID, "RUN"),
    (re.compile(r"manual__\S+"), "RUN"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?"), "TIME"),
    (re.compile(r"pid \d+"), "PID"),
    (re.compile(r"\d+(\.\d+)? ?m?s\b"), "SECONDS"),
    (re.compile(r"\b[0-9a-f]{10,64}\b"), "DIGEST"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "VERSION"),
)
#: What Python 3.11 and later put under the lines of a traceback.
_UNDERLINE = re.compile(r"(^|\] ) +[~^]+$")
_EXIT_CODE = re.compile(r"#\s*exit code (\d+)\s*$")
_END = "end of this command: "
_DRIVER = f"""
import json, sys, traceback
space = {{"__name__": "__main__"}}
for line in sys.stdin:
    code = 0
    try:
        exec(compile(json.loads(line), "<page>", "exec"), space)
    except BaseException:
        traceback.print_exc()
        code = 1
    print("\\n{_END}", code, flush=True, sep="")
"""


@dataclass(frozen=True)
class Block:
    """A fenced block and the line of the page that it begins on."""

    language: str
    name: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [
        Block(found[1], found[2] or "", found[3], page.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(page)
    ]


def commands(console: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    first, *parts = re.split(r"^\$ ", console, flags=re.MULTILINE)
    assert not first, "a console block begins with a command"
    for part in parts:
        lines = part.split("\n")
        count = next((n for n, line in enumerate(lines, 1) if not line.endswith("\\")), 1)
        yield "\n".join(lines[:count]), "\n".join(lines[count:])


class Reader:
    """Does what a page says, as a person would who reads it from top to bottom.

    Args:
        folder: Where to do it.
        environment: Set for all commands, besides a PATH on which ``python`` is this one.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "FLOWSDK_USER": "alice",
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
            **(environment or {}),
        }
        self._run_ids: dict[str, str] = {}
        self._python: subprocess.Popen[str] | None = None

    def read(self, page: Path) -> None:
        """Carry out a page."""
        printed = None
        try:
            for block in blocks(page.read_text("utf-8")):
                where = f"{page.name}:{block.line}"
                if block.name:
                    (self._folder / block.name).parent.mkdir(parents=True, exist_ok=True)
                    (self._folder / block.name).write_text(block.text, "utf-8")
                elif block.language == "console":
                    self._console(block.text, where)
                elif block.language == "python":
                    printed = self.python(block.text, where)
                    continue
                else:
                    assert block.language == "text", f"{where}: what is {block.language!r}?"
                    assert printed is not None, f"{where}: whose output is this?"
                    self._compare(block.text, printed, where)
                printed = None
        finally:
            if self._python is not None:
                self._python.communicate(timeout=30)

    def command(self, command: str, where: str) -> str:
        """What a command prints; its exit code must be the one that it tells."""
        done = subprocess.run(
            ["bash", "-c", self._actual(command)],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        told = _EXIT_CODE.search(command)
        expected = int(told[1]) if told else 0
        assert done.returncode == expected, f"{where}: $ {command}\n{done.stdout}"
        return done.stdout

    def python(self, code: str, where: str) -> str:
        """What a piece of code prints; it must not raise."""
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, "-c", _DRIVER],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        assert self._python.stdin
        assert self._python.stdout
        self._python.stdin.write(json.dumps(self._actual(code)) + "\n")
        self._python.stdin.flush()
        lines = []
        for line in self._python.stdout:
            if line.startswith(_END):
                break
            lines.append(line)
        printed = "".join(lines)
        assert line == f"{_END}0\n", f"{where}:\n{code}\n{printed}"
        return printed

    def _console(self, text: str, where: str) -> None:
        for command, expected in commands(text):
            self._compare(expected, self.command(command, where), f"{where}: $ {command}")

    def _compare(self, expected: str, printed: str, where: str) -> None:
        printed = printed.replace(str(self._folder), SHOWN_FOLDER)
        shown = dict.fromkeys(_RUN_ID.findall(expected))
        self._run_ids |= dict(zip(shown, dict.fromkeys(_RUN_ID.findall(printed)), strict=False))
        lines = _masked(expected).splitlines()
        patterns = (re.escape(line).replace("…", ".*?") + "\n" for line in lines)
        pattern = "".join("(?:.*\n)*?" if p == ".*?\n" else p for p in patterns)
        same = not expected.strip() or re.fullmatch(pattern, _masked(printed))
        assert same, f"{where}\n-- found\n{printed}\n-- expected\n{expected}"

    def _actual(self, text: str) -> str:
        """A command with the run ids of this reading instead of those on the page."""
        return _RUN_ID.sub(lambda found: self._run_ids.get(found[0], found[0]), text)


def _masked(text: str) -> str:
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    lines = (line.rstrip() for line in text.strip().splitlines())
    return "".join(f"{line}\n" for line in lines if not _UNDERLINE.search(line))
