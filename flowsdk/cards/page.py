"""The page around a card: one file that needs nothing else.

A policy in the page forbids the browser to load anything from elsewhere and to run any script but
the page's own, which it knows by their digests. So even text that escaped its escaping could do
nothing.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path

from flowsdk.cards.chart import MARK, drawing_scripts
from flowsdk.cards.markup import escape, failure
from flowsdk.exception import PackageError

_HERE = Path(__file__).parent


@lru_cache(maxsize=1)
def _style() -> str:
    return (_HERE / "page.css").read_text("utf-8")


@lru_cache(maxsize=1)
def _behaviour() -> str:
    return (_HERE / "page.js").read_text("utf-8")


def page(title: str, body: str) -> str:
    """A whole page.

    Args:
        title: Of the browser's tab.
        body: HTML of what is in it. Scripts in it are not run.
    """
    scripts: list[str] = []
    if MARK in body:
        try:
            scripts += drawing_scripts()
        except PackageError as error:
            body = failure("Charts cannot be drawn", str(error)) + body
    scripts.append(_behaviour())
    policy = "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            "font-src data:",
            "style-src 'unsafe-inline'",
            f"script-src {' '.join(map(_digest, scripts))}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    elements = "".join(f"<script>{script}</script>\n" for script in scripts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{_style()}</style>\n</head>\n<body>\n"
        f'<button type="button" id="theme" aria-label="Switch between light and dark" hidden>'
        f"{_THEME_ICON}</button>\n"
        f"<main>\n{body}\n</main>\n{elements}</body>\n</html>\n"
    )


_THEME_ICON = (
    '<svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">'
    '<circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.6"/>'
    '<path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor"/></svg>'
)


def _digest(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def section(title: str, body: str, note: str = "") -> str:
    """A titled part of a page.

    Args:
        title: Its heading.
        body: HTML.
        note: A remark beside the heading.
    """
    remark = f'<span class="note">{escape(note)}</span>' if note else ""
    return f"<section><h2>{escape(title)}{remark}</h2>{body}</section>"
