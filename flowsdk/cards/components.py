"""Components that show a text, a value, a table or a figure of merit."""

from __future__ import annotations

import pprint
import textwrap
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flowsdk.cards import markdown
from flowsdk.cards.base import UserComponent, rendered
from flowsdk.cards.markup import escape, failure, short_repr, text_of, type_name

#: What an uncompressed artifact may take of a card, in characters.
_LONGEST_ARTIFACT = 50_000
#: Rows of a truncated data frame that are shown.
_FRAME_ROWS = 100
_FRAME_COLUMNS = 50


class Markdown(UserComponent):
    """A text in Markdown. Indentation that all lines share is taken away.

    Args:
        text: The text.
    """

    REALTIME_UPDATABLE = True

    def __init__(self, text: str | None = None) -> None:
        self._text = textwrap.dedent(text_of(text or "")).strip("\n")

    def update(self, text: str | None = None) -> None:
        """Show another text."""
        self._text = textwrap.dedent(text_of(text or "")).strip("\n")

    def render(self) -> str:
        """The component as HTML."""
        return f'<div class="markdown">{markdown.to_html(self._text)}</div>'


class Artifact(UserComponent):
    """A Python value, as it was when this was made.

    Args:
        artifact: The value.
        name: Shown above it.
        compressed: Shorten long values; otherwise they are laid out in full, up to 50,000
            characters.
    """

    REALTIME_UPDATABLE = True

    def __init__(self, artifact: Any, name: str | None = None, compressed: bool = True) -> None:
        self._name = name
        self._compressed = compressed
        self.update(artifact)

    def update(self, artifact: Any) -> None:
        """Show another value."""
        self._type = type_name(artifact)
        self._text = short_repr(artifact) if self._compressed else _full_repr(artifact)

    def render(self) -> str:
        """The component as HTML."""
        name = "" if self._name is None else f"<strong>{escape(self._name)}</strong> "
        return (
            f'<figure class="artifact"><figcaption>{name}<code>{escape(self._type)}</code>'
            f"</figcaption><pre>{escape(self._text)}</pre></figure>"
        )


def _full_repr(value: Any) -> str:
    try:
        text = pprint.pformat(value, width=100)
    except Exception:  # noqa: BLE001  # a foreign __repr__ may raise anything
        return short_repr(value)
    return text if len(text) <= _LONGEST_ARTIFACT else f"{text[:_LONGEST_ARTIFACT]}…"


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
        if not all(hasattr(dataframe, name) for name in ("columns", "itertuples", "index")):
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
        note = f'<p class="note">{escape(self._note)}</p>' if self._note else ""
        return (
            f'<div class="scroll" tabindex="0"><table>{head}<tbody>{body}</tbody></table></div>'
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


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: Any) -> Any:
    """A cell of a data frame as Python's own value, which is how it is to be read."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        value = item()
    return value if isinstance(value, (str, int, float)) else text_of(value)


class Error(UserComponent):
    """An exception, with its traceback if it has been raised.

    Args:
        exception: The exception, or a text.
        title: Shown above it.
    """

    def __init__(self, exception: BaseException | str, title: str | None = None) -> None:
        self._title = title
        if isinstance(exception, BaseException):
            lines = traceback.format_exception(exception)
            self._text = "".join(lines).rstrip()
        else:
            self._text = text_of(exception)

    def render(self) -> str:
        """The component as HTML."""
        return failure("Error" if self._title is None else self._title, self._text)


class ProgressBar(UserComponent):
    """How far something has come.

    Args:
        max: The value that means done.
        label: Shown above the bar.
        value: Where it is.
        unit: Of both, e.g. ``"rows"``.
        metadata: A remark, e.g. ``"0.1 items/s"``.
    """

    REALTIME_UPDATABLE = True

    def __init__(
        self,
        max: float = 100,
        label: str | None = None,
        value: float = 0,
        unit: str | None = None,
        metadata: str | None = None,
    ) -> None:
        self._max, self._value = max, value
        self._label, self._unit, self._metadata = label, unit, metadata

    def update(self, new_value: float, metadata: str | None = None) -> None:
        """Move the bar; the remark stays unless another is given."""
        self._value = new_value
        if metadata is not None:
            self._metadata = metadata

    def render(self) -> str:
        """The component as HTML."""
        label = escape(self._label) if self._label else "Progress"
        unit = f" {escape(self._unit)}" if self._unit else ""
        share = min(max(self._value / self._max, 0), 1) if self._max else 0
        note = f'<span class="note">{escape(self._metadata)}</span>' if self._metadata else ""
        return (
            f'<div class="progress"><div class="progress-head"><strong>{label}</strong>{note}'
            f'<span class="number">{_number(self._value)} / {_number(self._max)}{unit}</span></div>'
            f'<progress max="1" value="{share:.4f}" aria-label="{label}">{share:.0%}</progress></div>'
        )


def _number(value: float) -> str:
    return escape(f"{value:,}" if isinstance(value, int) else f"{value:,.4g}")


class ValueBox(UserComponent):
    """One value, large.

    Args:
        title: Above the value.
        value: The value.
        subtitle: Below it.
        theme: ``default``, ``success``, ``warning``, ``danger`` or ``bg-gradient-indigo-purple``;
            another is taken for ``default``.
        change_indicator: How it has changed, e.g. ``"Up 15 % from last month"``.
    """

    REALTIME_UPDATABLE = True
    VALID_THEMES: ClassVar[Mapping[str, str]] = {
        "default": "plain",
        "success": "good",
        "warning": "warn",
        "danger": "bad",
        "bg-gradient-indigo-purple": "vivid",
    }

    def __init__(
        self,
        title: str | None = None,
        value: str | float = "",
        subtitle: str | None = None,
        theme: str | None = None,
        change_indicator: str | None = None,
    ) -> None:
        self._shown: dict[str, Any] = {}
        self.update(title, value, subtitle, theme, change_indicator)

    def update(
        self,
        title: str | None = None,
        value: str | float | None = None,
        subtitle: str | None = None,
        theme: str | None = None,
        change_indicator: str | None = None,
    ) -> None:
        """Change what is given and leave the rest."""
        given = {
            "title": title,
            "value": value,
            "subtitle": subtitle,
            "theme": theme,
            "change": change_indicator,
        }
        self._shown.update({name: item for name, item in given.items() if item is not None})

    def render(self) -> str:
        """The component as HTML."""
        theme = self.VALID_THEMES.get(self._shown.get("theme", "default"), "plain")
        parts = "".join(
            f'<div class="box-{name}">{escape(text_of(self._shown[name]))}</div>'
            for name in ("title", "value", "subtitle", "change")
            if name in self._shown
        )
        return f'<div class="value-box {theme}">{parts}</div>'
