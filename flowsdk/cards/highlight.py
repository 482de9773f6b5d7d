"""Python source as HTML with its words told apart."""

from __future__ import annotations

import builtins
import io
import keyword
import tokenize

from flowsdk.cards.markup import escape

_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_"))
_STRINGS = frozenset(
    number for number, name in tokenize.tok_name.items() if name.startswith(("STRING", "FSTRING"))
)


def python_html(source: str) -> str:
    """HTML of Python source, for a ``pre`` element; of text that is no Python, the bare text."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return escape(source)
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    position = 0
    before = ""
    for token in tokens:
        if token.start[0] > len(starts) or token.end[0] > len(starts):
            break
        begin, end = (starts[line - 1] + column for line, column in (token.start, token.end))
        if begin < position or end <= begin:
            continue
        found.append(escape(source[position:begin]))
        text = escape(source[begin:end])
        kind = _kind(token, before)
        found.append(f'<span class="{kind}">{text}</span>' if kind else text)
        position, before = end, token.string
    found.append(escape(source[position:]))
    return "".join(found)


def _kind(token: tokenize.TokenInfo, before: str) -> str:
    """The CSS class of a token; empty for none."""
    if token.type == tokenize.COMMENT:
        return "c"
    if token.type in _STRINGS:
        return "s"
    if token.type == tokenize.NUMBER:
        return "n"
    if token.type == tokenize.OP:
        return "d" if token.string == "@" else ""
    if token.type != tokenize.NAME:
        return ""
    if keyword.iskeyword(token.string):
        return "k"
    if before == "@":
        return "d"
    if before in ("def", "class"):
        return "f"
    return "b" if token.string in _BUILTINS and before != "." else ""
