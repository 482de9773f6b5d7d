"""Components that show a text, a value, an error or a figure of merit."""

from __future__ import annotations

import pprint
import textwrap
import traceback
from collections.abc import Mapping
from typing import Any, ClassVar

from flowsdk.cards import markdown
from flowsdk.cards.base import UserComponent
from flowsdk.cards.markup import escape, failure, short_repr, text_of, type_name
from flowsdk.runtime.redaction import redact

#: What an uncompressed artifact may take of a card, in characters.
_LONGEST_ARTIFACT = 50_000


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
        text = redact(pprint.pformat(value, width=100))
    except Exception:  # noqa: BLE001  # a foreign __repr__ may raise anything
        return short_repr(value)
    return text if len(text) <= _LONGEST_ARTIFACT else f"{text[:_LONGEST_ARTIFACT]}…"


class Error(UserComponent):
    """An exception, with its traceback if it has been raised.

    Args:
        exception: The exception, or a text.
        title: Shown above it.
    """

    def __init__(self, exception: BaseException | str, title: str | None = None) -> None:
        self._title = title
        if isinstance(exception, BaseException):
            self._text = redact("".join(traceback.format_exception(exception)).rstrip())
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
