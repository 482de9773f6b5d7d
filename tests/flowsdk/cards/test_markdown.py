from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowsdk.cards.markdown import to_html
from tests.flowsdk.cards.outline import HOSTILE, assert_harmless


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "<p>plain</p>"),
        ("two\nlines", "<p>two\nlines</p>"),
        ("one\n\ntwo", "<p>one</p>\n<p>two</p>"),
        ("hard  \nbreak", "<p>hard<br>\nbreak</p>"),
        ("# One", "<h1>One</h1>"),
        ("### Three ###", "<h3>Three</h3>"),
        ("#hashtag", "<p>#hashtag</p>"),
        ("---", "<hr>"),
        ("**b** __b__", "<p><strong>b</strong> <strong>b</strong></p>"),
        ("*i* _i_", "<p><em>i</em> <em>i</em></p>"),
        ("**a *b* c**", "<p><strong>a <em>b</em> c</strong></p>"),
        ("***both***", "<p><strong><em>both</em></strong></p>"),
        ("~~gone~~", "<p><del>gone</del></p>"),
        ("snake_case_name", "<p>snake_case_name</p>"),
        ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
        (r"\*literal\*", "<p>*literal*</p>"),
        ("`a < b`", "<p><code>a &lt; b</code></p>"),
        ("`` a`b ``", "<p><code>a`b</code></p>"),
        ("```\nx < 1\n```", '<pre class="code"><code>x &lt; 1</code></pre>'),
        ("~~~\nnever closed", '<pre class="code"><code>never closed</code></pre>'),
        ("    indented", '<pre class="code"><code>indented</code></pre>'),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("- a\n  - b\n- c", "<ul><li>a\n<ul><li>b</li></ul></li><li>c</li></ul>"),
        ("- a\n\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
        ("- a\nlazy", "<ul><li>a\nlazy</li></ul>"),
        ("* a\n- b", "<ul><li>a</li></ul>\n<ul><li>b</li></ul>"),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("7. a", '<ol start="7"><li>a</li></ol>'),
        ("text\n- a", "<p>text</p>\n<ul><li>a</li></ul>"),
        ("> a\n> - b", "<blockquote><p>a</p>\n<ul><li>b</li></ul></blockquote>"),
        ("in 2024.\n2020. too", "<p>in 2024.\n2020. too</p>"),
        ("no | table", "<p>no | table</p>"),
    ],
)
def test_markdown_is_read_as_elsewhere(text: str, html: str) -> None:
    assert to_html(text) == html


def test_a_table_has_headers_and_alignment() -> None:
    outline = assert_harmless(
        to_html("| a | b | c |\n|---|--:|:-:|\n| 1 | \\| | **x** | 4 |\n| 2 |")
    )
    assert [cell["scope"] for cell in outline.all("th")] == ["col"] * 3
    assert [cell.get("class") for cell in outline.all("td")] == [None, "right", "center"] * 2
    assert outline.text == "abc1|x2"


def test_task_lists_have_boxes() -> None:
    outline = assert_harmless(to_html("- [x] done\n- [ ] not"))
    assert ["checked" in box for box in outline.all("input")] == [True, False]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("[l](https://a.b/c_(d))", "https://a.b/c_(d)"),
        ('[l](https://a.b "title")', "https://a.b"),
        ("<https://a.b>", "https://a.b"),
        ("see https://a.b/c.", "https://a.b/c"),
        ("[l](mailto:a@b.c)", "mailto:a@b.c"),
        ("[l](#part)", "#part"),
    ],
)
def test_links_lead_where_they_say(text: str, target: str) -> None:
    (link,) = assert_harmless(to_html(text)).all("a")
    assert link["href"] == target
    assert target.startswith("#") or link["rel"] == "noopener noreferrer"


@pytest.mark.parametrize(
    "text",
    ["[https://a.b](https://c.d)", "[a [b](https://a.b)](https://c.d)", "[**![x](#y)**](#z)"],
)
def test_a_link_holds_no_other(text: str) -> None:
    assert len(assert_harmless(to_html(text)).all("a")) == 1


def test_a_picture_from_elsewhere_is_only_a_link() -> None:
    outline = assert_harmless(to_html("![chart](https://a.b/c.png)"))
    assert not outline.all("img")
    assert outline.all("a")[0]["href"] == "https://a.b/c.png"
    assert assert_harmless(to_html("![dot](data:image/png;base64,AAAA)")).all("img") == [
        {"src": "data:image/png;base64,AAAA", "alt": "dot"}
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    assert_harmless(to_html(text))
    assert_harmless(to_html(f"| {text} |\n|--|\n| {text} |\n\n- {text}\n\n> {text}\n\n# {text}"))


_PIECES = st.lists(
    st.sampled_from(
        ["*", "**", "_", "`", "```", "~~", "[", "](", ")", "![", "|", "\n", "\n\n", "- ", "1. ", "> ",
         "#", "    ", "|--|", "\\", "<", ">", '"', "a", " ", "https://a.b", "javascript:", "&"]
    ),
    max_size=60,
)  # fmt: skip


@given(_PIECES.map("".join) | st.text())
def test_any_text_gives_well_formed_harmless_html(text: str) -> None:
    assert_harmless(to_html(text))


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece", ["*a ", "_a ", "`", "[", "![", "> ", "- ", "[a](", "**", "|", "  - "]
)
def test_hostile_repetition_takes_no_quadratic_time(piece: str) -> None:
    to_html(piece * 5000)
