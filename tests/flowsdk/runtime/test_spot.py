from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flowsdk.runtime import spot
from flowsdk.runtime.spot import SpotWatch

NOTICE = '{"action": "terminate", "time": "2026-01-01T00:02:00Z"}'


class Instance(ThreadingHTTPServer):
    """An instance's metadata service, which wants a token (IMDSv2)."""

    life_cycle = "spot"
    notice: str | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[str] = []


class Answers(BaseHTTPRequestHandler):
    server: Instance

    def do_PUT(self) -> None:
        self.server.asked.append(self.path)
        assert self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.answer("token")

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        assert self.headers["X-aws-ec2-metadata-token"] == "token"
        texts = {
            "/latest/meta-data/instance-life-cycle": self.server.life_cycle,
            "/latest/meta-data/spot/instance-action": self.server.notice,
        }
        self.answer(texts[self.path])

    def answer(self, text: str | None) -> None:
        self.send_response(404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    with Instance() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
        monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_ECS_EC2")
        monkeypatch.setattr(spot, "_EVERY_SECONDS", 0)
        yield server
        server.shutdown()
        thread.join()


def test_a_notice_becomes_a_file_and_a_line_in_the_log(
    instance: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = SpotWatch(tmp_path / "notice")
    watch.poll()
    watch.poll()
    assert not (tmp_path / "notice").exists()
    instance.notice = NOTICE
    watch.poll()
    assert (tmp_path / "notice").read_text() == NOTICE
    watch.poll()
    assert capsys.readouterr().err.count("about to be taken away") == 1
    assert instance.asked.count("/latest/api/token") == 1


def test_an_instance_that_nobody_takes_away_is_asked_once(
    instance: Instance, tmp_path: Path
) -> None:
    instance.life_cycle = "on-demand"
    watch = SpotWatch(tmp_path / "notice")
    for _ in range(3):
        watch.poll()
    assert len(instance.asked) == 2


def test_it_waits_between_two_questions(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spot, "_EVERY_SECONDS", 60)
    watch = SpotWatch(tmp_path / "notice")
    for _ in range(3):
        watch.poll()
    assert instance.asked.count("/latest/meta-data/spot/instance-action") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE")],
)
def test_where_there_is_no_instance_nobody_is_asked(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    SpotWatch(tmp_path / "notice").poll()
    assert instance.asked == []


def test_one_that_does_not_answer_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: Instance
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9")
    watch = SpotWatch(tmp_path / "notice")
    watch.poll()
    monkeypatch.setattr(watch, "_ask", None)  # a second question would fail
    watch.poll()
    assert not (tmp_path / "notice").exists()
