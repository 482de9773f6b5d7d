from __future__ import annotations

from typing import Any

import pytest

from flowsdk.cards import Artifact, Markdown, ProgressBar
from flowsdk.cards.collector import CardCollector, CardEditor, Components


def editor(
    type: str = "default", id: str | None = None, editable: bool = True, customize: bool = False
) -> CardEditor:
    return CardEditor(type, id, editable, customize, lambda _, __: None)


def collected(*editors: CardEditor) -> CardCollector:
    collector = CardCollector()
    for one in editors:
        collector.add(one)
    return collector


@pytest.mark.parametrize(
    ("editors", "chosen"),
    [
        ([editor()], 0),
        ([editor(id="a")], 0),
        ([editor("mine", editable=False), editor(id="a")], 1),
        ([editor(id="a"), editor(), editor(id="b")], 1),
        ([editor(id="a"), editor(id="b", customize=True), editor()], 1),
        ([editor(id="a"), editor(id="b")], None),
        ([editor(), editor()], None),
        ([editor("mine", editable=False)], None),
    ],
)
def test_which_card_is_meant(
    editors: list[CardEditor], chosen: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    collector = collected(*editors)
    part = Markdown("x")
    for one in editors:
        one.clear()
    collector.append(part)
    collector.append(part)
    assert [list(one) for one in editors] == [
        [part] * 2 if number == chosen else [] for number in range(len(editors))
    ]
    assert capsys.readouterr().err.count("[@card]") == (chosen is None)


def test_components_are_kept_in_order_under_their_ids() -> None:
    parts = Components()
    bar = ProgressBar()
    parts.append(bar, id="bar")
    parts.append(Markdown("x"))
    parts["last"] = Markdown("y")
    assert parts.keys() == ["bar", "component-2", "last"]
    assert parts["bar"] is bar
    assert bar.component_id == "bar"
    assert "last" in parts
    del parts["component-2"]
    assert len(parts) == 2
    parts["bar"] = Markdown("instead")
    assert [type(part) for part in parts] == [Markdown, Markdown]
    parts.clear()
    assert parts.values() == []


def test_any_value_can_be_appended() -> None:
    parts = Components()
    parts.extend([3, {"a": 1}])
    assert all(isinstance(part, Artifact) for part in parts)


def test_a_component_that_is_not_there_takes_updates_and_is_missed_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts = Components()
    parts.append(ProgressBar(), id="epochs")
    parts["epoch"].update(3, anything="goes")
    assert parts["epoch"].render() == ""
    del parts["nothing"]
    said = capsys.readouterr().err
    assert "There is no component 'epoch' on the card. Did you mean 'epochs'?" in said
    assert "no component 'nothing' on the card to delete" in said


def test_cards_are_found_by_id_and_by_type(capsys: pytest.CaptureFixture[str]) -> None:
    left, right = editor(id="left"), editor("blank", id="right")
    collector = collected(left, right)
    assert collector["left"] is left
    assert collector.get("blank") == [right]
    assert collector.get() == []
    assert "left" in collector
    assert "lfet" not in collector
    collector["right"] = [Markdown("x")]
    assert len(right.components) == 1
    collector["lfet"].append(Markdown("x"))
    collector["lfet"].append(Markdown("x"))
    said = capsys.readouterr().err
    assert said.count("[@card]") == 1
    assert "Did you mean 'left'?" in said


def test_two_cards_of_one_id_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    first = editor(id="a")
    assert collected(first, editor(id="a"))["a"] is first
    assert "Several cards have the id 'a'" in capsys.readouterr().err


def test_a_refresh_reaches_the_default_card() -> None:
    told: list[Any] = []
    collector = collected(CardEditor("default", None, True, False, lambda *what: told.append(what)))
    collector.refresh()
    collector.refresh({"n": 1}, force=True)
    assert told == [(None, False), ({"n": 1}, True)]


def test_a_component_id_is_a_text() -> None:
    with pytest.raises(TypeError, match="expected a text"):
        Markdown("x").component_id = 3  # type: ignore[assignment]
