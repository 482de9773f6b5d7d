"""Markdown to HTML: what notes and reports use of it, in a job that has no library for it.

Headings, paragraphs, emphasis, code, lists, quotes, tables, rules, links and embedded pictures as in
GitHub's dialect. HTML in the text is shown, not used; a link leads to the web, to mail or within the
card, and a picture must be a ``data:`` URI, since a card loads nothing from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from flowsdk.cards.markup import escape

#: Deeper quotes, lists and emphasis are shown as they were written.
_DEEPEST = 16

_FENCE = re.compile(r" {0,3}(?P<mark>`{3,}|~{3,})\s*(?P<language>[\w+#.-]*)[^`]*$")
_HEADING = re.compile(r" {0,3}(?P<level>#{1,6})(?:[ \t]+(?P<text>.*?))?(?:[ \t]+#+)?[ \t]*$")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_QUOTE = re.compile(r" {0,3}> ?")
_ITEM = re.compile(r"(?P<lead> *)(?P<mark>[-*+]|\d{1,9}[.)])(?P<gap> +|$)(?=(?P<text>.*))")
_DELIMITERS = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"(?:https?://|mailto:|#|/(?!/)|\./)", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=]+")

# Spans have a longest length, so that a hostile text costs no quadratic time.
_TARGET = r"(?P<{0}>[^()\s]{{0,2000}}(?:\([^()\s]{{0,500}}\)[^()\s]{{0,500}})?|data:image/[^()\s]+)"
_TITLE = r'(?:\s+"[^"\n]{0,500}")?'
_INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<ticks>(?<!`)`{1,9}(?!`))(?P<code>[\s\S]{1,2000}?)(?<!`)(?P=ticks)(?!`)"
    r"|!\[(?P<alt>[^\]]{0,500})\]\(" + _TARGET.format("src") + _TITLE + r"\)"
    r"|\[(?P<label>(?:[^\[\]]|\[[^\[\]]{0,200}\]){1,1000}?)\]\("
    + _TARGET.format("href")
    + _TITLE
    + r"\)"
    r"|<(?P<auto>(?:https?://|mailto:)[^\s<>]{1,2000})>"
    r"|(?P<url>https?://[^\s<>\"'`]{0,2000}[^\s<>\"'`.,;:!?)\]*_])"
    r"|\*\*(?P<strong>(?=\S)[\s\S]{1,2000}?(?<=\S))\*\*(?!\*)"
    r"|(?<!\w)__(?P<strong_>(?=\S)[\s\S]{1,2000}?(?<=\S))__(?!\w)"
    r"|\*(?P<em>(?=[^\s*])[\s\S]{1,2000}?(?<=[^\s*]))\*(?!\*)"
    r"|(?<!\w)_(?P<em_>(?=[^\s_])[\s\S]{1,2000}?(?<=[^\s_]))_(?!\w)"
    r"|~~(?P<struck>(?=\S)[\s\S]{1,2000}?(?<=\S))~~"
    r"|(?P<break> {2,}\n|\\\n)"
)
_WRAPPED = {
    "strong": "strong",
    "strong_": "strong",
    "em": "em",
    "em_": "em",
    "struck": "del",
}


def to_html(text: str) -> str:
    """The HTML of a Markdown text; any text has one."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")
    return _blocks(lines, 0)


def inline(text: str, depth: int = 0, *, linked: bool = False) -> str:
    """The HTML of text within a block: emphasis, code, links.

    Args:
        text: The text.
        depth: How many spans it is in.
        linked: It is in a link, which can hold no other.
    """
    found = []
    position = 0
    for match in _INLINE.finditer(text):
        found.append(escape(text[position : match.start()]))
        found.append(_span(match, depth, linked) if depth < _DEEPEST else escape(match[0]))
        position = match.end()
    found.append(escape(text[position:]))
    return "".join(found)


def _span(match: re.Match[str], depth: int, linked: bool) -> str:
    kind = match.lastgroup or ""
    if kind == "escaped":
        return escape(match["escaped"])
    if kind == "code":
        code = match["code"].replace("\n", " ")
        padded = code.startswith(" ") and code.endswith(" ") and code.strip()
        return f"<code>{escape(code[1:-1] if padded else code)}</code>"
    if kind == "src":
        return _picture(match["src"], match["alt"], linked)
    if kind == "href":
        label = inline(match["label"], depth + 1, linked=True)
        return label if linked else _link(match["href"], label)
    if kind in ("auto", "url"):
        return escape(match[kind]) if linked else _link(match[kind], escape(match[kind]))
    if kind == "break":
        return "<br>\n"
    return f"<{_WRAPPED[kind]}>{inline(match[kind], depth + 1, linked=linked)}</{_WRAPPED[kind]}>"


def _link(target: str, label: str) -> str:
    if not _LINK.match(target):
        return label
    elsewhere = "" if target.startswith("#") else ' target="_blank" rel="noopener noreferrer"'
    return f'<a href="{escape(target)}"{elsewhere}>{label}</a>'


def _picture(source: str, alt: str, linked: bool) -> str:
    if _PICTURE.fullmatch(source):
        return f'<img src="{escape(source)}" alt="{escape(alt)}">'
    label = escape(alt or source)
    return label if linked else _link(source, label)


def _blocks(lines: list[str], depth: int) -> str:
    found: list[str] = []
    position = 0
    while position < len(lines):
        if not lines[position].strip():
            position += 1
            continue
        for kind in _KINDS:
            taken = kind(lines, position, depth)
            if taken is not None:
                html, position = taken
                found.append(html)
                break
    return "\n".join(found)


#: What a block's function returns: its HTML and the first line after it; None if it is another kind.
_Taken = tuple[str, int] | None


def _fence(lines: list[str], start: int, depth: int) -> _Taken:  # noqa: ARG001  # as its siblings
    opening = _FENCE.match(lines[start])
    if not opening:
        return None
    mark = opening["mark"]
    end = start + 1
    while end < len(lines):
        bare = lines[end].strip()
        if bare.startswith(mark) and not bare.strip(mark[0]):
            break
        end += 1
    return _code(lines[start + 1 : end], opening["language"]), end + 1


def _indented(lines: list[str], start: int, depth: int) -> _Taken:  # noqa: ARG001
    end = start
    while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
        end += 1
    if end == start:
        return None
    return _code([line[4:] for line in lines[start:end]], ""), end


def _code(lines: list[str], language: str) -> str:
    text = "\n".join(lines).rstrip("\n")
    if language in ("python", "py"):
        from flowsdk.cards.highlight import python_html

        return f'<pre class="code"><code>{python_html(text)}</code></pre>'
    return f'<pre class="code"><code>{escape(text)}</code></pre>'


def _heading(lines: list[str], start: int, depth: int) -> _Taken:
    match = _HEADING.match(lines[start])
    if not match:
        return None
    level = len(match["level"])
    return f"<h{level}>{inline(match['text'] or '', depth)}</h{level}>", start + 1


def _rule(lines: list[str], start: int, depth: int) -> _Taken:  # noqa: ARG001
    return ("<hr>", start + 1) if _RULE.match(lines[start]) else None


def _quote(lines: list[str], start: int, depth: int) -> _Taken:
    if not _QUOTE.match(lines[start]) or depth >= _DEEPEST:
        return None
    end = start
    inner = []
    while end < len(lines) and lines[end].strip():
        inner.append(_QUOTE.sub("", lines[end], count=1))
        end += 1
    return f"<blockquote>{_blocks(inner, depth + 1)}</blockquote>", end


def _table(lines: list[str], start: int, depth: int) -> _Taken:
    if "|" not in lines[start] or start + 1 >= len(lines):
        return None
    if "|" not in lines[start + 1] or not _DELIMITERS.match(lines[start + 1]):
        return None
    headers, marks = _cells(lines[start]), _cells(lines[start + 1])
    if len(headers) != len(marks):
        return None
    aligns = [_ALIGNED[mark.startswith(":"), mark.endswith(":")] for mark in marks]
    end = start + 2
    rows = []
    while end < len(lines) and "|" in lines[end]:
        cells = [*_cells(lines[end]), *([""] * len(headers))][: len(headers)]
        rows.append(_row("td", cells, aligns, depth))
        end += 1
    head = _row("th", headers, aligns, depth)
    html = f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{html}</div>', end


_ALIGNED = {
    (False, False): "",
    (True, False): ' class="left"',
    (False, True): ' class="right"',
    (True, True): ' class="center"',
}


def _cells(line: str) -> list[str]:
    bare = line.strip().removeprefix("|")
    if bare.endswith("|") and not bare.endswith("\\|"):
        bare = bare[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(bare)]


def _row(tag: str, cells: list[str], aligns: list[str], depth: int) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    html = (
        f"<{tag}{scope}{align}>{inline(cell, depth)}</{tag}>"
        for cell, align in zip(cells, aligns, strict=True)
    )
    return f"<tr>{''.join(html)}</tr>"


def _list(lines: list[str], start: int, depth: int) -> _Taken:
    first = _ITEM.match(lines[start])
    if not first or depth >= _DEEPEST or len(first["lead"]) > 3:
        return None
    items: list[list[str]] = []
    end, indent, loose = start, 0, False
    while end < len(lines):
        line = lines[end]
        match = _ITEM.match(line)
        inside = len(line) - len(line.lstrip()) >= indent
        if match and len(match["lead"]) < max(indent, 1 + len(first["lead"])):
            if not _same_kind(match["mark"], first["mark"]):
                break
            indent = match.end("mark") + (len(match["gap"]) if 1 <= len(match["gap"]) <= 4 else 1)
            loose = loose or bool(items and not lines[end - 1].strip())
            items.append([line[indent:]])
        elif not line.strip():
            if end + 1 < len(lines) and not lines[end + 1].strip():
                break
            items[-1].append("")
        elif inside:
            loose = loose or not lines[end - 1].strip()
            items[-1].append(line[indent:])
        elif lines[end - 1].strip() and not _starts_block(line):
            items[-1].append(line.strip())  # a paragraph's lazy continuation
        else:
            break
        end += 1
    body = "".join(f"<li>{_item(item, loose, depth + 1)}</li>" for item in items)
    return _list_tag(first["mark"], body), end


def _list_tag(mark: str, body: str) -> str:
    if not mark[0].isdigit():
        return f"<ul>{body}</ul>"
    number = int(mark[:-1])
    return f"<ol>{body}</ol>" if number == 1 else f'<ol start="{number}">{body}</ol>'


def _same_kind(mark: str, other: str) -> bool:
    return mark[-1] == other[-1] and mark[0].isdigit() == other[0].isdigit()


def _item(lines: list[str], loose: bool, depth: int) -> str:
    box = ""
    if match := re.match(r"\[(?P<state>[ xX])\] ", lines[0]):
        checked = "" if match["state"] == " " else " checked"
        box = f'<input type="checkbox" disabled{checked} aria-label="task"> '
        lines = [lines[0][match.end() :], *lines[1:]]
    html = _blocks(lines, depth)
    if not loose:
        html = re.sub(r"\A<p>(.*?)</p>", r"\1", html, count=1, flags=re.DOTALL)
    return box + html


def _paragraph(lines: list[str], start: int, depth: int) -> _Taken:
    end = start + 1
    while end < len(lines) and lines[end].strip() and not _starts_block(lines[end]):
        end += 1
    text = "\n".join(line.lstrip() for line in lines[start:end])
    return f"<p>{inline(text.rstrip(), depth)}</p>", end


def _starts_block(line: str) -> bool:
    """Whether a line ends the paragraph before it."""
    item = _ITEM.match(line)
    return bool(
        _FENCE.match(line)
        or _HEADING.match(line)
        or _RULE.match(line)
        or _QUOTE.match(line)
        or (item and item["text"] and item["mark"] in ("-", "*", "+", "1.", "1)"))
    )


_KINDS: tuple[Callable[[list[str], int, int], _Taken], ...] = (
    _fence,
    _indented,
    _heading,
    _rule,
    _quote,
    _list,
    _table,
    _paragraph,
)
