from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowsdk import FlowSpec
from tests.flowsdk.cards.conftest import IMPORTS
from tests.flowsdk.cli.conftest import Cli, Outcome
from tests.flowsdk.flows import import_flow
from tests.flowsdk.running import Finished, run

BODY = """
class Reported(FlowSpec):
    @card(type="blank", id="note")
    @card
    @step
    def start(self):
        self.xs = [1, 2]
        current.card["note"].append(Markdown("<b>"))
        self.next(self.body, foreach="xs")

    @card
    @step
    def body(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        self.x = 1


class Mine(MetaflowCard):
    type = "mine"

    def __init__(self, options=None):
        self.options = options

    def render(self, task):
        return f"mine {self.options} {task.data.x}"
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[type[FlowSpec], Finished]:
    folder = tmp_path_factory.mktemp("cards")
    flow = import_flow(folder, IMPORTS + BODY)
    run(flow, folder)  # an older one
    return flow, run(flow, folder)


@pytest.fixture
def card(cli: Cli, ran: tuple[type[FlowSpec], Finished]) -> Callable[..., Outcome]:
    flow, finished = ran

    def call(*arguments: str) -> Outcome:
        root = finished.store.storage.root
        return cli("--quiet", "--datastore-root", root, "card", *arguments, flow=flow)

    return call


Card = Callable[..., Outcome]


@pytest.mark.parametrize(
    "path", ["start", "{run}/start", "{run}/start/0", "Reported/{run}/start/0"]
)
def test_get_prints_the_card_that_is_named(
    card: Card, ran: tuple[type[FlowSpec], Finished], path: str
) -> None:
    done = card("get", path.format(run=ran[1].run), "--id", "note")
    assert done.code == 0
    assert done.out.startswith("<!DOCTYPE html>")
    assert "&lt;b&gt;" in done.out


def test_get_writes_a_file(card: Card, tmp_path: Path) -> None:
    done = card("get", "start", str(tmp_path / "card.html"), "--type", "default")
    assert (done.code, done.out) == (0, "")
    assert "Code of start" in (tmp_path / "card.html").read_text("utf-8")


def test_a_file_that_cannot_be_written_is_named(card: Card, tmp_path: Path) -> None:
    done = card("get", "start", str(tmp_path / "no" / "card.html"), "--type", "default")
    assert done.code == 2
    assert "Name a file that can be written" in done.err


def test_which_of_several_cards_must_be_said(card: Card) -> None:
    done = card("get", "start")
    assert done.code == 2
    assert "start has 2, expected one" in done.err
    assert "id=note" in done.err
    assert card("view", "body", "--no-browser").code == 2


def test_a_card_that_is_not_there_is_missed_with_those_that_are(card: Card) -> None:
    done = card("get", "start", "--id", "nope")
    assert done.code == 1
    assert "No card with id 'nope' in start, expected one of: note (" in done.err
    assert "Put @card on the step" in card("view", "end").err


def test_view_opens_a_browser_or_prints_the_path(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    path = card("view", "start", "--id", "note", "--no-browser").out.strip()
    assert Path(path).is_file()
    assert opened == []
    card("view", "start", "--id", "note")
    assert opened == [Path(path).as_uri()]


def test_list_names_every_card(card: Card) -> None:
    lines = card("list").out.splitlines()
    assert [line.split()[0].split("/", 1)[1] for line in lines] == [
        "start/0", "start/0", "body/0", "body/1"
    ]  # fmt: skip
    assert len(card("list", "start", "--type", "blank").out.splitlines()) == 1


def test_list_as_json(card: Card, ran: tuple[type[FlowSpec], Finished], tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(card("list", "start", "--as-json").out)
    assert found["pathspec"] == f"Reported/{ran[1].run}/start/0"
    assert [(entry["type"], entry["id"]) for entry in found["cards"]] == [
        ("blank", "note"),
        ("default", None),
    ]
    assert Path(found["cards"][0]["filename"]).is_file()
    card("list", "--file", str(tmp_path / "cards.json"))
    assert len(json.loads((tmp_path / "cards.json").read_text("utf-8"))) == 3


def test_create_makes_a_card_of_a_task_that_has_none(card: Card) -> None:
    made = card("create", "end", "--type", "mine", "--options", '{"a": 1}', "--id", "late")
    assert made.code == 0, made.err
    assert made.out.startswith("Card created: type mine, hash ")
    assert card("get", "end", "--id", "late").out == "mine {'a': 1} 1"


def test_create_can_only_show_what_it_makes(card: Card, tmp_path: Path) -> None:
    before = card("list").out
    assert card("create", "join", "--file", str(tmp_path / "x.html")).code == 0
    assert "Code of join" in (tmp_path / "x.html").read_text("utf-8")
    assert card("list").out == before


def test_create_needs_one_task_and_a_type_that_exists(card: Card) -> None:
    assert "has 2 tasks, expected one" in card("create", "body").err
    done = card("create", "end", "--type", "mien")
    assert done.code == 1
    assert "Did you mean 'mine'?" in done.err


def test_the_server_shows_the_newest_run(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def serve(run: Callable[[], Any], **how: Any) -> None:
        seen.update(how, run=run().id)

    monkeypatch.setattr("flowsdk.cards.server.serve", serve)
    assert card("server", "--port", "0", "--poll-interval", "2", "--no-browser").code == 0
    assert seen["browser"] is False
    assert (seen["port"], seen["poll_seconds"]) == (0, 2.0)
    assert "expected a run" not in card("server", "--run-id", seen["run"]).err
    assert card("server", "--poll-interval", "0").code == 2
    assert card("server", "--run-id", "gone").code == 1


def test_an_action_must_be_named(cli: Cli, ran: tuple[type[FlowSpec], Finished]) -> None:
    assert cli("card", flow=ran[0]).code == 2
