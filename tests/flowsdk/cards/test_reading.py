from __future__ import annotations

import dataclasses
import html
from pathlib import Path

import pytest

from flowsdk.cards import Card, CardContainer, get_cards
from flowsdk.client import Task
from flowsdk.datastore.keys import CardName
from flowsdk.exception import InvalidPathspec, NotFound, UsageError
from flowsdk.spec import TaskRef
from tests.flowsdk.cards.conftest import IMPORTS, Carded, CardsOf
from tests.flowsdk.flows import import_flow
from tests.flowsdk.running import resumed, run

SEVERAL = """
class Several(FlowSpec):
    @card(type="blank", id="b")
    @card(id="a")
    @card
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        if not getattr(current, "origin_run_id", None):
            raise ValueError("the first time")
"""


def test_cards_are_chosen_by_id_type_and_hash(carded: Carded, cards_of: CardsOf) -> None:
    ran = carded(SEVERAL)
    cards = cards_of(ran, "start/0")
    assert [(card.type, card.id) for card in cards] == [
        ("blank", "b"), ("default", "a"), ("default", None)
    ]  # fmt: skip
    assert [card.id for card in cards_of(ran, "start/0", type="default")] == ["a", None]
    assert [card.type for card in cards_of(ran, "start/0", id="b")] == ["blank"]
    assert [card.hash for card in cards_of(ran, "start/0", hash=cards[1].hash[:5])] == [
        cards[1].hash
    ]
    assert len({card.hash for card in cards}) == 3
    assert list(cards[1:]) == [cards[1], cards[2]]
    assert isinstance(cards[:1], CardContainer)
    assert get_cards(Task(f"Several/{ran.run}/start/0"))[0].path == cards[0].path


def test_a_card_is_a_file_that_can_be_opened(
    carded: Carded, cards_of: CardsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = cards_of(carded(SEVERAL), "start/0")[0]
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    card.view()
    assert opened == [Path(card.path).as_uri()]
    assert Path(card.path).read_text("utf-8") == card.get()
    assert card.get_data() is None


def test_a_card_that_lies_elsewhere_is_copied_to_be_opened(
    carded: Carded, cards_of: CardsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = cards_of(carded(SEVERAL), "start/0")[0]
    text = card.get()
    monkeypatch.setattr(Card, "path", "s3://bucket/card.html")
    assert card.local_file().read_text("utf-8") == text


def test_a_notebook_shows_cards_in_frames_of_their_own(carded: Carded, cards_of: CardsOf) -> None:
    cards = cards_of(carded(SEVERAL), "start/0")
    shown = cards._repr_html_()
    assert shown.count("<iframe") == 3
    assert 'sandbox="allow-scripts allow-popups"' in shown
    assert html.escape(cards[0].get()) in shown
    assert "</script>" not in shown


def test_a_resumed_task_has_the_cards_of_the_original(tmp_path: Path, cards_of: CardsOf) -> None:
    flow = import_flow(tmp_path, IMPORTS + SEVERAL)
    first = run(flow, tmp_path)
    second = resumed(flow, tmp_path)
    assert second.reused == ["start/0"]
    cards = cards_of(second, "start/0")
    assert [card.path for card in cards] == [card.path for card in cards_of(first, "start/0")]
    assert cards.from_resumed
    assert cards[0].from_resumed
    assert cards.origin_pathspec == f"Several/{first.run}/start/0"
    assert len(cards_of(second, "start/0", follow_resumed=False)) == 0
    assert not cards_of(first, "start/0").from_resumed


def test_what_is_no_task_is_refused(carded: Carded, cards_of: CardsOf) -> None:
    ran = carded(SEVERAL)
    with pytest.raises(InvalidPathspec):
        cards_of(ran, "start")
    with pytest.raises(NotFound):
        cards_of(ran, "start/7")
    with pytest.raises(UsageError, match="expected a Task"):
        get_cards(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least 5 digits"):
        cards_of(ran, "start/0", hash="abc")


@pytest.mark.parametrize("type", ["default", "my-card", "a/b.c", "ü%2D", ".."])
@pytest.mark.parametrize("id", [None, "x_1"])
def test_the_name_of_a_card_can_be_read_back(type: str, id: str | None) -> None:
    from flowsdk.datastore import keys

    ref = TaskRef("start", "0", 0)
    name = CardName.of("F", "1", ref, 3, type, id)
    key = keys.card("F", "1", ref, name)
    assert key.startswith("F/runs/1/start/0/0/cards/3-")
    assert CardName.parse(key.rpartition("/")[2]) == name
    assert CardName.of("F", "1", dataclasses.replace(ref, attempt=1), 3, type, id).hash != name.hash


@pytest.mark.parametrize(
    "name", ["x.html", "0-default--abc.json", "a-b-c-d.html", "0-1-2-3-4.html"]
)
def test_other_objects_are_no_cards(name: str) -> None:
    assert CardName.parse(name) is None
