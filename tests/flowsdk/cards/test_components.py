from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowsdk.cards import (
    Artifact,
    Error,
    EventsTimeline,
    JSONViewer,
    Markdown,
    MetaflowCardComponent,
    ProgressBar,
    PythonCode,
    Table,
    ValueBox,
    VegaChart,
    YAMLViewer,
)
from flowsdk.cards.base import rendered
from tests.flowsdk.cards.outline import HOSTILE, Outline, assert_harmless


def timeline(text: str) -> EventsTimeline:
    events = EventsTimeline(text, max_events=3)
    events.update({text: text, "timestamp": text}, text, text, {text: Markdown(text), "v": text})
    return events


MAKERS: dict[str, Callable[[str], MetaflowCardComponent]] = {
    "markdown": Markdown,
    "artifact": lambda text: Artifact({text: [text]}, name=text),
    "artifact in full": lambda text: Artifact(text, name=text, compressed=False),
    "table": lambda text: Table([[text, Artifact(text)]], headers=[text, text]),
    "error": lambda text: Error(ValueError(text), title=text),
    "error text": Error,
    "progress": lambda text: ProgressBar(3, text, 1, text, text),
    "value": lambda text: ValueBox(text, text, text, text, text),
    "json": lambda text: JSONViewer({text: [text, {text: text}]}, True, text, True, text),
    "json flat": lambda text: JSONViewer([text], collapsible=False),
    "yaml": lambda text: YAMLViewer({text: [text, {"k": text}]}, title=text),
    "python": lambda text: PythonCode(code_string=text),
    "timeline": timeline,
    "chart": lambda text: VegaChart({"title": text, "data": {"values": [{text: text}]}}),
}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_hostile_text_does_nothing_in_any_component(
    make: Callable[[str], MetaflowCardComponent], text: str
) -> None:
    assert_harmless(make(text).render())


@given(st.text(), st.sampled_from(list(MAKERS.values())))
def test_any_text_can_be_shown(text: str, make: Callable[[str], MetaflowCardComponent]) -> None:
    assert_harmless(make(text).render())


class Stubborn:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


@pytest.mark.parametrize("compressed", [True, False])
def test_an_artifact_without_a_repr_is_shown_by_its_class(compressed: bool) -> None:
    html = Artifact(Stubborn(), "it", compressed).render()
    assert "Stubborn" in assert_harmless(html).text


def test_a_long_artifact_is_shortened() -> None:
    assert len(Artifact(list(range(10**6))).render()) < 1000
    assert len(Artifact(list(range(10**6)), compressed=False).render()) < 60_000


def test_an_artifact_is_shown_as_it_was_when_it_was_appended() -> None:
    value = [1]
    shown = Artifact(value)
    value.append(2)
    assert "[1]" in shown.render()


def test_markdown_is_dedented() -> None:
    assert Markdown("\n    # Title\n    text\n").render().count("<h1>Title</h1>") == 1


def test_updates_change_what_is_shown() -> None:
    bar = ProgressBar(max=4, label="Epochs", unit="epochs", metadata="slow")
    bar.update(3)
    text = Outline(bar.render()).text
    assert "3 / 4 epochs" in text
    assert "slow" in text
    assert Outline(bar.render()).all("progress")[0]["value"] == "0.7500"
    box = ValueBox("Loss", 1)
    box.update(value=0.5, theme="success")
    assert Outline(box.render()).all("div")[0]["class"] == "value-box good"
    assert "Loss" in box.render()
    assert "0.5" in box.render()


@pytest.mark.parametrize(
    ("maximum", "value", "share"), [(10, 20, "1.0000"), (10, -5, "0.0000"), (0, 5, "0.0000")]
)
def test_a_progress_bar_stays_within_itself(maximum: int, value: int, share: str) -> None:
    assert Outline(ProgressBar(maximum, value=value).render()).all("progress")[0]["value"] == share


def test_components_that_cannot_change_say_so() -> None:
    with pytest.raises(NotImplementedError, match="Error.update"):
        Error("x").update("y")


class TestTable:
    def test_numbers_stand_right_and_headers_name_the_columns(self) -> None:
        outline = Outline(Table([["a", 1], ["b", 2.5]], headers=["name", "n"]).render())
        assert [cell.get("class") for cell in outline.all("th")] == [None, "right"]
        assert [cell.get("class") for cell in outline.all("td")] == [None, "right"] * 2

    @pytest.mark.parametrize("data", [None, [], [[]], 5, "text", [1, 2]])
    def test_what_is_no_table_does_no_harm(self, data: Any) -> None:
        assert_harmless(Table(data).render())

    def test_a_cell_is_updated_through_its_component(self) -> None:
        cell = Markdown("old")
        table = Table([[cell]])
        cell.update("new")
        assert "new" in table.render()

    def test_rows_can_be_replaced(self) -> None:
        table = Table([[1]], headers=["n"])
        table.update([[2], [3]])
        assert Outline(table.render()).text == "n23"

    def test_what_is_no_data_frame_is_named(self) -> None:
        assert "Found int, expected a data frame" in Table.from_dataframe(3).render()

    def test_a_data_frame_is_shown_with_its_index(self) -> None:
        frame = Frame([(row, 1 / (row + 1), "<b>") for row in range(250)], ["x", "share", "t"])
        outline = assert_harmless(Table.from_dataframe(frame).render())
        assert outline.text.startswith("rowxsharet001.0<b>110.5<b>220.333333<b>")
        assert "First 100 of 250 rows" in outline.text
        assert len(outline.all("tr")) == 101
        assert [cell["scope"] for cell in outline.all("th")][4:6] == ["row", "row"]

    def test_a_data_frame_is_shown_whole_if_asked(self) -> None:
        frame = Frame([(row,) for row in range(250)], ["x"])
        outline = Outline(Table.from_dataframe(frame, truncate=False).render())
        assert len(outline.all("tr")) == 251
        assert "First" not in outline.text


class Frame:
    """As much of a pandas data frame as a table looks at."""

    def __init__(self, rows: list[tuple[Any, ...]], columns: list[str]) -> None:
        self.rows = rows
        self.columns = columns
        self.index = type("Index", (), {"name": "row"})

    def __len__(self) -> int:
        return len(self.rows)

    def itertuples(self, name: str | None) -> list[tuple[Any, ...]]:
        assert name is None
        return [(number, *row) for number, row in enumerate(self.rows)]

    @property
    def iloc(self) -> Any:
        frame = self

        class Located:
            def __getitem__(self, place: tuple[slice, slice]) -> Frame:
                rows = [row[place[1]] for row in frame.rows[place[0]]]
                return Frame(rows, frame.columns[place[1]])

        return Located()


class TestViewers:
    def test_json_is_read_from_a_text_too(self) -> None:
        assert JSONViewer('{"a": [1]}').render() == JSONViewer({"a": [1]}).render()
        assert "no json" in JSONViewer("no json").render()

    def test_the_copied_text_is_json(self) -> None:
        html = JSONViewer(
            {"when": datetime(2024, 1, 2, tzinfo=timezone.utc), "n": float("nan")}
        ).render()
        copied = html.partition('class="copied">')[2].partition("</template>")[0]
        assert json.loads(copied.replace("&quot;", '"')) == {
            "when": "2024-01-02T00:00:00+00:00",
            "n": None,
        }

    @pytest.mark.parametrize(
        ("height", "style"),
        [("300px", "max-height:300px"), ("50vh", "max-height:50vh"), ("1px;position:fixed", None)],
    )
    def test_a_height_is_a_length_and_nothing_else(self, height: str, style: str | None) -> None:
        bodies = [
            tag for tag in Outline(JSONViewer({}, max_height=height).render()).all("div")
            if tag.get("class") == "viewer-body"
        ]  # fmt: skip
        assert bodies[0].get("style") == style

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ({"a": 1, "b": [True, None]}, "a: 1\nb:\n  - true\n  - null"),
            ([{"a": {"b": "c"}}], "- a:\n    b: c"),
            ({"yes": "no", "n": "1"}, '"yes": "no"\n"n": "1"'),
            ({"t": "two\nlines", "u": "a: b"}, 't: |-\n  two\n  lines\nu: "a: b"'),
            ({"empty": {}, "none": []}, "empty: {}\nnone: []"),
        ],
    )
    def test_yaml_is_as_people_write_it(self, value: Any, text: str) -> None:
        assert YAMLViewer(value)._text() == text

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab:#-\n' y", max_size=6),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:", max_size=3), inner, max_size=3),
            max_leaves=8,
        )
    )  # fmt: skip
    def test_yaml_reads_back_as_the_same(self, value: Any) -> None:
        yaml = pytest.importorskip("yaml")
        if isinstance(value, str):
            value = [value]
        assert yaml.safe_load(YAMLViewer(value)._text()) == value

    def test_code_is_that_of_the_function(self) -> None:
        outline = Outline(PythonCode(timeline).render())
        assert "def timeline(text: str)" in outline.text
        assert {"class": "k"} in outline.all("span")

    def test_code_that_is_not_there_is_missed_by_name(self) -> None:
        assert "not available" in PythonCode(len).render()
        assert "neither code_func nor code_string" in PythonCode().render()

    @given(st.text())
    def test_highlighting_changes_no_character(self, code: str) -> None:
        shown = Outline(PythonCode(code_string=f"x = 1\n{code}").render()).text
        expected = f"x = 1\n{code}".strip("\n")
        if not any(mark in expected for mark in "\r\t\x00"):
            assert "".join(shown.split()) == "".join(expected.split())


class TestTimeline:
    def test_the_newest_event_is_first_and_all_are_counted(self) -> None:
        events = EventsTimeline("Log", max_events=2)
        for number in range(3):
            events.update({"n": number, "timestamp": 1700000000 + number})
        outline = assert_harmless(events.render())
        assert outline.text.index("n2") < outline.text.index("n1")
        assert "n0" not in outline.text
        assert "3 events · newest 2 shown" in outline.text
        assert "2023-11-14 22:13:22" in outline.text

    def test_the_caller_keeps_its_dictionary(self) -> None:
        data = {"a": 1}
        EventsTimeline().update(data)
        assert data == {"a": 1}

    def test_the_end_is_told(self) -> None:
        events = EventsTimeline()
        events.update({"a": 1}, finished=True)
        assert events.get_stats()["finished"] is True
        assert "finished" in events.render()


class Broken(MetaflowCardComponent):
    def render(self) -> str:
        raise RuntimeError("out of <paper>")


class Odd(MetaflowCardComponent):
    def render(self) -> Any:
        return {"type": "odd"}


@pytest.mark.parametrize(
    ("part", "why"), [(Broken(), "out of <paper>"), (Odd(), "expected a text")]
)
def test_a_component_that_fails_says_why_in_its_place(
    part: MetaflowCardComponent, why: str
) -> None:
    outline = assert_harmless(rendered(part))
    assert f"{type(part).__name__} cannot be shown" in outline.text
    assert why in outline.text
