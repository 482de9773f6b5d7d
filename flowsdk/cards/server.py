"""``python flow.py card server``: the cards of a run in the browser, live while it runs.

A plain HTTP server on this machine's loopback. It stores nothing: each look of the page is answered
from the datastore.
"""

from __future__ import annotations

import hashlib
import json
import sys
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

from flowsdk.cards.reading import Card, get_cards
from flowsdk.client import Run, Task
from flowsdk.exception import FlowException, KeyNotFound, UsageError

_HERE = Path(__file__).parent
_HOST = "127.0.0.1"
#: Names under which a browser on this machine reaches it. Any other comes from a page elsewhere that
#: has its own name point here.
_OWN_NAMES = frozenset({"127.0.0.1", "localhost"})


class CardServer(ThreadingHTTPServer):
    """Serves the cards of a run.

    Args:
        run: Called for the run to show each time the page looks for changes.
        port: 0 takes any.
        poll_seconds: Between two looks of the page.
        max_cards: The newest so many are listed.

    Raises:
        UsageError: The port is taken.
    """

    daemon_threads = True

    def __init__(
        self, run: Callable[[], Run], port: int = 0, poll_seconds: float = 5, max_cards: int = 100
    ) -> None:
        try:
            super().__init__((_HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"--port {port}: {error}. Choose another port, or 0 for any that is free."
            ) from error
        self._run = run
        self._poll_seconds = poll_seconds
        self._max_cards = max_cards
        self._cards: dict[str, Card] = {}

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{_HOST}:{self.server_address[1]}/"

    def page(self) -> str:
        """The page that shows the cards."""
        page = (_HERE / "server.html").read_text("utf-8")
        return page.replace("[poll]", str(round(self._poll_seconds * 1000)))

    def listing(self) -> dict[str, Any]:
        """The run and its cards, newest task first."""
        run = self._run()
        every = (entry for step in run for task in step for entry in self._entries(task))
        cards = list(islice(every, self._max_cards))
        return {"run": run.pathspec, "status": run.status, "cards": cards}

    def _entries(self, task: Task) -> list[dict[str, Any]]:
        found = get_cards(task)
        self._cards.update((card.hash, card) for card in found)
        if not found:
            return []
        _, _, step, task_id = task.path_components
        status = "running" if not task.finished else "succeeded" if task.successful else "failed"
        return [
            {"hash": card.hash, "step": step, "task": task_id, "type": card.type, "id": card.id,
             "status": status}
            for card in found
        ]  # fmt: skip

    def card(self, hash: str) -> str | None:
        """The HTML of a card that has been listed, or None."""
        if hash not in self._cards:
            self.listing()
        card = self._cards.get(hash)
        try:
            return card.get() if card else None
        except KeyNotFound:
            return None


class _Handler(BaseHTTPRequestHandler):
    server: CardServer

    def do_GET(self) -> None:
        """Answer a request of the page."""
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in _OWN_NAMES:
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", "Only for this machine's browser.")
            return
        try:
            self._route(self.path.partition("?")[0])
        except FlowException as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", str(error))
        except BrokenPipeError:
            pass  # the browser has gone on to another card

    def _route(self, path: str) -> None:
        if path == "/":
            self._answer(HTTPStatus.OK, "text/html", self.server.page())
        elif path == "/cards.json":
            self._answer(HTTPStatus.OK, "application/json", json.dumps(self.server.listing()))
        elif path.startswith("/card/") and (html := self.server.card(path.rpartition("/")[2])):
            self._answer(HTTPStatus.OK, "text/html", html)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "There is no such card.")

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        data = text.encode("utf-8")
        tag = f'"{hashlib.sha256(data).hexdigest()}"'
        if status == HTTPStatus.OK and self.headers.get("If-None-Match") == tag:
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.end_headers()
            return
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the requests of the page say nothing to whoever started the server."""


def serve(
    run: Callable[[], Run], *, port: int, poll_seconds: float, max_cards: int, browser: bool
) -> None:
    """Serve until interrupted; the arguments are those of :class:`CardServer`.

    Args:
        run: Called for the run to show.
        port: 0 takes any.
        poll_seconds: Between two looks of the page.
        max_cards: The newest so many are listed.
        browser: Whether to open one.
    """
    with CardServer(run, port, poll_seconds, max_cards) as server:
        sys.stdout.write(f"Cards of {run().pathspec} at {server.url} (end with Ctrl-C)\n")
        sys.stdout.flush()
        if browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.stdout.write("\n")
