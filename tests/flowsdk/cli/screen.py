"""A terminal as far as the live display uses one: what a person would see after some output."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n])")


class Screen:
    """Lines that grow downwards for ever; text beyond the last column goes on in the next line.

    Args:
        columns: Its width.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._rows: list[str] = [""]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            assert match, f"nothing that this terminal knows: {text[at : at + 10]!r}"
            number, command, back, end, character = match.groups()
            if command == "A":
                self._row = max(0, self._row - int(number or 1))
            elif command == "J":
                del self._rows[self._row + 1 :]
                self._rows[self._row] = self._rows[self._row][: self._column]
            elif command:
                assert command == "m", f"unexpected {match[0]!r}"
            elif back:
                self._column = 0
            elif end:
                self._down()
            else:
                self._put(character)
            at = match.end()

    def lines(self) -> list[str]:
        return [row.rstrip() for row in self._rows if row.strip()]

    def reflow(self, columns: int) -> None:
        """Become narrower, as terminals do it: long lines go on in the next one."""
        rows: list[str] = []
        for row in self._rows:
            text = row.rstrip()
            rows += [text[i : i + columns] for i in range(0, len(text), columns)] or [""]
        self._rows, self._columns = rows, columns
        self._row, self._column = len(rows) - 1, 0

    def _put(self, character: str) -> None:
        if self._column == self._columns:
            self._down()
            self._column = 0
        row = self._rows[self._row].ljust(self._column)
        self._rows[self._row] = row[: self._column] + character + row[self._column + 1 :]
        self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append("")
