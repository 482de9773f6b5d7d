from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from flowsdk.cards import VegaChart, chart
from flowsdk.cards.markup import css_length, embedded_json, escape, plain
from flowsdk.cards.page import page
from flowsdk.package import build
from tests.flowsdk.cards.outline import Outline


def scripts(html: str) -> list[str]:
    return re.findall(r"<script>(.*?)</script>", html, re.DOTALL)


def policy(html: str) -> str:
    (found,) = [tag["content"] for tag in Outline(html).all("meta") if "http-equiv" in tag]
    return found


def digest(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


@pytest.mark.parametrize("body", ["<p>text</p>", VegaChart({"mark": "bar"}).render()])
def test_a_page_runs_its_own_scripts_and_no_other(body: str) -> None:
    html = page("<title>", body)
    directives = dict(part.strip().split(" ", 1) for part in policy(html).split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert directives["script-src"].split() == [digest(script) for script in scripts(html)]
    assert "unsafe-eval" not in policy(html)


def test_a_page_names_no_place_to_load_from() -> None:
    outline = Outline(page("t", "<p>x</p>"))
    assert not outline.all("link")
    assert not [tag for _, tag in outline.tags if {"src", "href"} & set(tag)]


def test_the_title_is_text() -> None:
    assert "<title>&lt;/title&gt;&lt;b&gt;</title>" in page("</title><b>", "")


def test_only_pages_with_charts_carry_what_draws_them() -> None:
    small = page("t", f"<p>{escape(chart.MARK)}</p>")
    large = page("t", VegaChart({"mark": "bar"}).render())
    assert len(small) < 40_000
    assert len(scripts(large)) == 4
    assert "vegaEmbed" in scripts(large)[2]


def test_what_draws_cannot_end_its_element() -> None:
    for script in chart.drawing_scripts():
        assert "</script" not in script.lower()
        assert "<!--" not in script


def test_the_licences_of_what_draws_are_with_it() -> None:
    notice = (Path(chart.__file__).parent / "assets" / "NOTICE").read_text("utf-8")
    for name in ("vega", "vega-lite", "vega-embed", "d3-array", "topojson-client"):
        assert re.search(rf"\b{name} \d", notice)


def test_a_chart_without_what_draws_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart, "_ASSETS", tmp_path)
    chart.drawing_scripts.cache_clear()
    try:
        html = page("t", VegaChart({"mark": "bar"}).render())
    finally:
        chart.drawing_scripts.cache_clear()
    assert "names VegaChart" in Outline(html).text
    assert len(scripts(html)) == 1


def test_values_are_json_whatever_they_are() -> None:
    value = {1: (float("nan"), float("inf"), {3, 1}), "deep": None}
    assert plain(value) == {"1": [None, None, [1, 3]], "deep": None}
    nested: list[object] = []
    nested.append(nested)
    assert len(str(plain(nested))) < 1000


def test_json_in_a_page_cannot_end_its_element() -> None:
    text = embedded_json(["</script><!--", "&"])
    assert not set("<>&") & set(text)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (300, "300px"),
        ("2em", "2em"),
        (" 50% ", "50%"),
        ("1px;x", None),
        ("calc(1px)", None),
        ("", None),
    ],
)
def test_lengths(value: object, length: str | None) -> None:
    assert css_length(value) == length


@pytest.mark.parametrize(
    ("spec", "width"),
    [
        ({"mark": "bar"}, "container"),
        ({"mark": "bar", "width": 200}, 200),
        ({"layer": [{"mark": "bar"}]}, "container"),
        ({"hconcat": []}, None),
        ({"mark": "bar", "encoding": {"row": {"field": "x"}}}, None),
        ({"$schema": "https://vega.github.io/schema/vega/v6.json", "marks": []}, None),
    ],
)
def test_a_chart_takes_the_width_of_the_card_if_it_can(
    spec: dict[str, object], width: object
) -> None:
    html = VegaChart(spec).render()
    drawn = json.loads(re.findall(r"json\">(.*?)</script>", html)[0])
    assert drawn.get("width") == width


def test_a_chart_is_made_of_an_altair_chart_or_json() -> None:
    class Altair:
        def to_dict(self) -> dict[str, object]:
            return {"mark": "line"}

    made = VegaChart.from_altair_chart(Altair()).render()
    assert made == VegaChart('{"mark": "line"}').render()
    changing = VegaChart({"mark": "bar"}, show_controls=True)
    changing.update(Altair())
    assert '"line"' in changing.render()
    assert "data-controls" in changing.render()


@pytest.mark.parametrize("spec", [3, "no json", [1]])
def test_what_is_no_chart_is_said(spec: object) -> None:
    assert "cannot be drawn" in VegaChart(spec).render()


@pytest.mark.parametrize(
    ("code", "travels"),
    [
        ("from flowsdk.cards import VegaChart\n", True),
        ("import helper\n", True),
        ("from flowsdk.cards import Markdown\n", False),
    ],
)
def test_what_draws_charts_travels_only_with_flows_that_have_some(
    tmp_path: Path, code: str, travels: bool
) -> None:
    (tmp_path / "helper.py").write_text("import flowsdk.cards as c\nchart = c.VegaChart\n", "utf-8")
    (tmp_path / "flow.py").write_text(code, "utf-8")
    files = build(tmp_path / "flow.py").files
    assert ("flowsdk/cards/assets/vega.min.js" in files) == travels
    assert "flowsdk/cards/page.css" in files
