"""Reads the HTML of cards as a browser does, for tests of what is in it."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"br", "hr", "img", "input", "link", "meta"}
#: What makes a browser load or run something.
_ACTIVE_TAGS = {"base", "embed", "form", "frame", "iframe", "link", "object", "script", "style"}


class Outline(HTMLParser):
    """The elements of a fragment, checked to be well nested.

    Attributes:
        tags: (name, attributes) of every element.
        text: All text.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


def assert_harmless(html: str) -> Outline:
    """Nothing in a fragment is loaded or run, whatever text it was made of."""
    outline = Outline(html)
    for tag, attributes in outline.tags:
        if tag == "script":
            assert attributes == {"type": "application/json"}
        else:
            assert tag not in _ACTIVE_TAGS, tag
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            if name == "href":
                assert value.startswith(("https://", "http://", "mailto:", "#", "/", "./")), value
            if name in ("src", "srcdoc", "srcset", "action", "data", "poster"):
                assert name == "src", name
                assert value.startswith("data:image/"), value
    return outline


HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><svg onload=alert(1)>",
    "<!--<script>",
    "]]><b>",
    "&lt;script&gt; &amp; &#60;",
    "\u2028\u2029\x00\x1b[31m\ud800",
    "</pre></div></section></template><iframe src=//evil.example>",
    "javascript:alert(1)",
    "[link](javascript:alert(1)) ![x](javascript:alert(1)) <javascript:alert(1)>",
    "[a](data:text/html,<script>alert(1)</script>)",
    '[a](https://x" onclick="alert(1))',
    "`<b>` ```\n<script>\n```",
]
