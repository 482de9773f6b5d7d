"""A token is for the Airflow it was made for, whatever that Airflow answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flowsdk.client.airflow_api import TOKEN, AirflowApi


@pytest.fixture
def seen() -> Iterator[tuple[str, list[str | None]]]:
    """The URL of a server that redirects, and the credentials that its target was sent."""
    received: list[str | None] = []

    class Target(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    target = HTTPServer(("127.0.0.1", 0), Target)

    class Redirecting(Target):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{target.server_port}/login")
            self.end_headers()

    source = HTTPServer(("127.0.0.1", 0), Redirecting)
    for server in (target, source):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{source.server_port}", received
    for server in (target, source):
        server.shutdown()
        server.server_close()


def test_a_redirect_does_not_carry_the_token_away(
    seen: tuple[str, list[str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, received = seen
    monkeypatch.setenv(TOKEN, "SECRET")
    AirflowApi(url).get("/api/v2/dags")
    assert received == [None]
