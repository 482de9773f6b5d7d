"""``Table``: rows of text, numbers and other components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flowsdk.cards.base import UserComponent, rendered
from flowsdk.cards.markup import escape, short_repr, text_of, type_name

#: What is shown of a truncated data frame.
_FRAME_ROWS = 100
_FRAME_COLUMNS = 50


class Table(UserComponent):
    """A table.

    Args:
        data: The rows. A cell is a text, a number, another component, or any other value.
        headers: Names of the columns.
        disable_updates: Taken from Metaflow; components in the cells can always be updated.
    """

    REALTIME_UPDATABLE = True

    def __init__(
        self,
        data: Sequence[Sequence[Any]] | None = None,
        headers: Sequence[str] | None = None,
        disable_updates: bool = False,  # noqa: ARG002  # Metaflow's signature
    ) -> None:
        self._note = ""
        self._row_headers = False
        self._set(data, headers)

    @classmethod
    def from_dataframe(cls, dataframe: Any = None, truncate: bool = True) -> Table:
        """The table of a pandas (or alike) data frame, its index included.

        Args:
            dataframe: The frame.
            truncate: Show the first 100 rows and 50 columns, and say how many there are.
        """
        table = cls()
        if not is_frame(dataframe):
            table._set([], [])
            table._note = f"Found {type_name(dataframe)}, expected a data frame."
            return table
        rows, columns = len(dataframe), len(dataframe.columns)
        shown = dataframe
        if truncate and (rows > _FRAME_ROWS or columns > _FRAME_COLUMNS):
            shown = dataframe.iloc[:_FRAME_ROWS, :_FRAME_COLUMNS]
            table._note = f"First {len(shown):,} of {rows:,} rows"
            if columns > _FRAME_COLUMNS:
                table._note += f", {_FRAME_COLUMNS} of {columns:,} columns"
        index = getattr(dataframe.index, "name", None)
        table._row_headers = True
        table._set(
            [[_cell(value) for value in row] for row in shown.itertuples(name=None)],
            ["" if index is None else str(index), *map(str, shown.columns)],
        )
        return table

    def update(
        self,
        data: Sequence[Sequence[Any]] | None = None,
        headers: Sequence[str] | None = None,
    ) -> None:
        """Show other rows; the headers stay unless they are given."""
        self._note = ""
        self._set(data, self._headers if headers is None else headers)

    def _set(self, data: Any, headers: Any) -> None:
        try:
            self._rows = [list(row) if not isinstance(row, str) else [row] for row in data or ()]
            self._headers = [str(header) for header in headers or ()]
        except TypeError:
            self._rows, self._headers = [], []
            self._note = f"Found data={short_repr(data)}, expected rows of cells."

    def render(self) -> str:
        """The component as HTML."""
        head = ""
        if self._headers:
            cells = "".join(
                f'<th scope="col"{self._align(column)}>{escape(name)}</th>'
                for column, name in enumerate(self._headers)
            )
            head = f"<thead><tr>{cells}</tr></thead>"
        body = "".join(f"<tr>{self._row(row)}</tr>" for row in self._rows if row)
        frame = " frame" if self._row_headers else ""
        note = f'<p class="note">{escape(self._note)}</p>' if self._note else ""
        return (
            f'<div class="scroll{frame}" tabindex="0"><table>{head}<tbody>{body}</tbody></table></div>'
            f"{note}"
        )

    def _align(self, column: int) -> str:
        """A column of numbers is read from the right."""
        values = [row[column] for row in self._rows if column < len(row)]
        return ' class="right"' if values and all(map(_is_number, values)) else ""

    def _row(self, row: Sequence[Any]) -> str:
        cells = []
        for column, value in enumerate(row):
            number = ' class="right"' if _is_number(value) else ""
            if column == 0 and self._row_headers:
                cells.append(f'<th scope="row"{number}>{rendered(value)}</th>')
            else:
                cells.append(f"<td{number}>{rendered(value)}</td>")
        return "".join(cells)


def is_frame(value: object) -> bool:
    """Whether a value is a data frame of pandas or of a library alike."""
    return all(hasattr(value, name) for name in ("columns", "itertuples", "iloc", "index"))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: Any) -> Any:
    """A cell of a data frame as Python's own value, which is how it is to be read."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        value = item()
    if isinstance(value, float):
        return float(f"{value:.6g}")  # as many digits as pandas prints
    return value if isinstance(value, (str, int, float)) else text_of(value)
