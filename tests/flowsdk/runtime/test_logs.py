from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.datastore import FlowDatastore
from flowsdk.runtime import logs
from flowsdk.runtime.logs import LineBuffer, LogLine, LogWriter, parse_chunk
from flowsdk.spec import TaskRef

REF = TaskRef("fit", "0", 0)


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


def test_lines_are_put_together_from_pieces() -> None:
    buffer = LineBuffer("stdout")
    assert texts(buffer.feed(b"one\ntw")) == ["one"]
    assert texts(buffer.feed(b"o\r\n\n")) == ["two", ""]
    assert texts(buffer.feed(b"rest")) == []
    assert texts(buffer.close()) == ["rest"]
    assert buffer.close() == []


def test_bytes_that_are_no_text_do_not_stop_the_log() -> None:
    assert texts(LineBuffer("stderr").feed(b"\xff\xfe ok\n")) == ["\ufffd\ufffd ok"]


def test_an_endless_line_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_LINE_LIMIT", 10)
    buffer = LineBuffer("stdout")
    assert texts(buffer.feed(b"x" * 25)) == ["x" * 10, "x" * 10]
    assert texts(buffer.close()) == ["x" * 5]


def test_a_log_that_becomes_too_long_is_cut_with_a_note(tmp_path: Path) -> None:
    store = FlowDatastore.at(str(tmp_path), "F")
    writer = LogWriter(store, "1", REF, max_bytes=10)
    lines = [LogLine(number, "stdout", "1234") for number in range(5)]
    kept = writer.add(lines[:1]) + writer.add(lines[1:]) + writer.add(lines)
    writer.close()
    assert texts(kept)[:2] == ["1234", "1234"]
    assert "longer than 10 bytes" in texts(kept)[2]
    assert len(kept) == 3
    stored = [line for chunk in store.log_chunks("1", REF) for line in parse_chunk(chunk)]
    assert stored == kept


def test_chunks_hold_every_line_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: clock[0])
    store = FlowDatastore.at(str(tmp_path), "F")
    writer = LogWriter(store, "r", REF)
    lines = [LogLine(n, "stdout", f"line {n} ä\u2028") for n in range(10)]
    for line in lines:
        writer.add([line])
        writer.flush_if_due()
        clock[0] += 0.2
    writer.flush()
    chunks = [parse_chunk(data) for data in store.log_chunks("r", REF)]
    assert [line for chunk in chunks for line in chunk] == lines
    assert 2 <= len(chunks) <= 5


def test_no_lines_no_chunk(tmp_path: Path) -> None:
    store = FlowDatastore.at(str(tmp_path), "F")
    LogWriter(store, "r", REF).flush()
    assert list(store.log_chunks("r", REF)) == []
