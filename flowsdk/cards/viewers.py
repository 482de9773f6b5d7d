"""Components that show data and code as text: ``JSONViewer``, ``YAMLViewer``, ``PythonCode``."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Callable
from typing import Any

from flowsdk.cards.base import UserComponent
from flowsdk.cards.highlight import python_html
from flowsdk.cards.markup import css_length, escape, failure, plain, text_of

#: Levels of a JSON document that are open at first, and how large an open level may be.
_OPEN_LEVELS = 2
_OPEN_ITEMS = 50
#: What YAML would not read back as the same text unless it is quoted.
_PLAIN_YAML = re.compile(r"[A-Za-z_/][\w ./+-]*(?<! )")
_YAML_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


class _Viewer(UserComponent):
    REALTIME_UPDATABLE = True
    _language = ""

    def __init__(
        self,
        data: Any,
        collapsible: bool = True,
        max_height: str | None = None,
        show_copy_button: bool = True,
        title: str | None = None,
    ) -> None:
        self._collapsible = collapsible
        self._max_height = max_height
        self._show_copy_button = show_copy_button
        self._title = title
        self.update(data)

    def update(self, data: Any) -> None:
        """Show other data."""
        self._data = self._read(data)

    def _read(self, data: Any) -> Any:
        return plain(data)

    def _text(self) -> str:
        raise NotImplementedError

    def _html(self) -> str:
        return f"<pre>{escape(self._text())}</pre>"

    def render(self) -> str:
        """The component as HTML."""
        title = escape(self._title or self._language)
        copy = ""
        if self._show_copy_button:
            copy = (
                f'<button type="button" class="copy" aria-label="Copy {title}">Copy</button>'
                f'<template class="copied">{escape(self._text())}</template>'
            )
        height = css_length(self._max_height) if self._max_height is not None else None
        style = f' style="max-height:{height}"' if height else ""
        body = f'<div class="viewer-body" tabindex="0"{style}>{self._html()}</div>'
        if self._collapsible:
            return f'<details class="viewer" open><summary>{title}</summary>{copy}{body}</details>'
        return f'<div class="viewer"><div class="viewer-title">{title}</div>{copy}{body}</div>'


class JSONViewer(_Viewer):
    """Data as JSON.

    Args:
        data: A JSON text, or a value; what JSON has no form for is shown as text.
        collapsible: Whether objects and lists can be folded.
        max_height: CSS length from which on it scrolls, e.g. ``"400px"``.
        show_copy_button: Offer to copy the text.
        title: Shown above it.
    """

    _language = "JSON"

    def _read(self, data: Any) -> Any:
        if isinstance(data, str):
            try:
                return plain(json.loads(data))
            except ValueError:
                return data
        return plain(data)

    def _text(self) -> str:
        return json.dumps(self._data, indent=2, ensure_ascii=False)

    def _html(self) -> str:
        if not self._collapsible:
            return f"<pre>{escape(self._text())}</pre>"
        return f'<div class="json">{_json_html(self._data, 0)}</div>'


def _json_html(value: Any, level: int) -> str:
    if isinstance(value, dict) and value:
        items = [(f'<span class="key">{escape(json.dumps(k, ensure_ascii=False))}</span>: ', v)
                 for k, v in value.items()]  # fmt: skip
        brackets = "{}"
    elif isinstance(value, list) and value:
        items = [("", item) for item in value]
        brackets = "[]"
    else:
        kind = "s" if isinstance(value, str) else "n"
        return f'<span class="{kind}">{escape(json.dumps(value, ensure_ascii=False))}</span>'
    is_open = " open" if level < _OPEN_LEVELS and len(items) <= _OPEN_ITEMS else ""
    inner = "".join(f"<li>{key}{_json_html(item, level + 1)}</li>" for key, item in items)
    count = f"{len(items)} {'key' if brackets == '{}' else 'item'}{'s' * (len(items) != 1)}"
    return (
        f"<details{is_open}><summary>{brackets[0]}<span class='folded'>… {count} {brackets[1]}"
        f"</span></summary><ul>{inner}</ul>{brackets[1]}</details>"
    )


class YAMLViewer(_Viewer):
    """Data as YAML.

    Args:
        data: A YAML text, which is shown as it is, or a value.
        collapsible: Whether it can be folded.
        max_height: CSS length from which on it scrolls, e.g. ``"400px"``.
        show_copy_button: Offer to copy the text.
        title: Shown above it.
    """

    _language = "YAML"

    def _text(self) -> str:
        if isinstance(self._data, str):
            return self._data
        return "\n".join(_yaml_lines(self._data))


def _yaml_lines(value: Any) -> list[str]:
    """The lines of a value that has only JSON's types."""
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            inner = _yaml_lines(item)
            name = _yaml_scalar(key)
            if isinstance(item, (dict, list)) and item:
                lines += [f"{name}:", *(f"  {line}" for line in inner)]
            else:
                lines += [f"{name}: {inner[0]}", *(f"  {line}" for line in inner[1:])]
        return lines
    if isinstance(value, list) and value:
        lines = []
        for item in value:
            first, *rest = _yaml_lines(item)
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
        return lines
    if isinstance(value, str) and "\n" in value and value == value.strip() and "\t" not in value:
        return ["|-", *value.split("\n")]
    return [_yaml_scalar(value)]


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, str):
        is_plain = _PLAIN_YAML.fullmatch(value) and value.lower() not in _YAML_WORDS
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


class PythonCode(UserComponent):
    """Python source.

    Args:
        code_func: A function or class whose source is shown.
        code_string: The source itself, in place of it.
    """

    REALTIME_UPDATABLE = True

    def __init__(
        self, code_func: Callable[..., Any] | None = None, code_string: str | None = None
    ) -> None:
        self._problem = ""
        self._code = ""
        self.update(code_func, code_string)

    def update(
        self, code_func: Callable[..., Any] | None = None, code_string: str | None = None
    ) -> None:
        """Show another source."""
        if code_func is None and code_string is None:
            self._problem = "Found neither code_func nor code_string, expected one of them."
            return
        try:
            code = text_of(code_string) if code_func is None else inspect.getsource(code_func)
        except (OSError, TypeError) as error:
            self._problem = f"The source of {code_func!r} is not available: {error}."
            return
        self._problem = ""
        self._code = textwrap.dedent(code).strip("\n")

    def render(self) -> str:
        """The component as HTML."""
        if self._problem:
            return failure("PythonCode cannot be shown", self._problem)
        return f'<pre class="code" tabindex="0"><code>{python_html(self._code)}</code></pre>'
