from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from flowsdk.cards.reading import get_cards
from flowsdk.cards.server import CardServer
from flowsdk.client import Run, Task, default_metadata, metadata
from flowsdk.exception import UsageError
from tests.flowsdk.cards.conftest import Carded


@pytest.fixture
def server(carded: Carded) -> Iterator[CardServer]:
    ran = carded("""
        class Served(FlowSpec):
            @card
            @step
            def start(self):
                self.next(self.end)

            @card(id="last")
            @step
            def end(self):
                pass
    """)
    metadata(f"local@{ran.store.storage.root}")
    with CardServer(lambda: Run(f"Served/{ran.run}"), poll_seconds=0.25) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    default_metadata()


def ask(server: CardServer, path: str, **headers: str) -> tuple[int, str, Any]:
    host, port = server.server_address[:2]
    connection = http.client.HTTPConnection(str(host), port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


def test_the_page_and_what_it_asks_for(server: CardServer) -> None:
    status, page, _ = ask(server, "/")
    assert status == 200
    assert 'Number("250")' in page
    listing = json.loads(ask(server, "/cards.json")[1])
    assert listing["status"] == "succeeded"
    assert [(card["step"], card["id"]) for card in listing["cards"]] == [
        ("end", "last"),
        ("start", None),
    ]
    status, card, headers = ask(server, f"/card/{listing['cards'][0]['hash']}")
    assert status == 200
    assert "Code of end" in card
    assert headers["Content-Type"] == "text/html; charset=utf-8"


def test_no_more_tasks_are_read_than_cards_are_listed(
    server: CardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def noting(task: Task) -> Any:
        read.append(task.pathspec.split("/")[2])
        return get_cards(task)

    monkeypatch.setattr("flowsdk.cards.server.get_cards", noting)
    monkeypatch.setattr(server, "_max_cards", 1)
    assert [card["step"] for card in server.listing()["cards"]] == ["end"]
    assert read == ["end"]


def test_a_card_is_found_without_a_listing_before(server: CardServer) -> None:
    digest = json.loads(ask(server, "/cards.json")[1])["cards"][0]["hash"]
    server._cards.clear()
    assert ask(server, f"/card/{digest}")[0] == 200


def test_what_has_not_changed_is_not_sent_again(server: CardServer) -> None:
    _, _, headers = ask(server, "/cards.json")
    status, text, _ = ask(server, "/cards.json", **{"If-None-Match": headers["ETag"]})
    assert (status, text) == (304, "")


@pytest.mark.parametrize("path", ["/card/0123456789", "/other", "/card/../../etc/passwd"])
def test_there_is_nothing_else(server: CardServer, path: str) -> None:
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", ""])
def test_pages_elsewhere_cannot_ask(server: CardServer, host: str) -> None:
    assert ask(server, "/cards.json", Host=host)[0] == 403


def test_a_run_that_cannot_be_read_is_told_to_the_page(server: CardServer) -> None:
    server._run = lambda: Run("Served/gone")
    status, text, _ = ask(server, "/cards.json")
    assert status == 503
    assert "gone" in text


def test_a_port_that_is_taken_is_refused(server: CardServer) -> None:
    with pytest.raises(UsageError, match="Choose another port"):
        CardServer(lambda: Run("x/y"), port=server.server_address[1])
