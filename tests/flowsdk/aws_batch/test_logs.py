from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowsdk.aws_batch.logs import LogReader, container_log
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import DatastoreError
from flowsdk.runtime.logs import LogLine, LogWriter
from flowsdk.spec import TaskRef, TaskSpec
from tests.flowsdk.aws_batch.fakes import client_error


def write(writer: LogWriter, *texts: str) -> None:
    writer.add([LogLine(1, "stdout", text) for text in texts])
    writer.flush()


def texts(reader: LogReader) -> list[str]:
    return [line.text for line in reader.new_lines()]


def test_each_line_comes_once_and_the_next_reader_goes_on(
    store: FlowDatastore, spec: TaskSpec
) -> None:
    writer = LogWriter(store, spec.run, spec.ref)
    reader = LogReader(store, spec.run, spec.ref)
    assert texts(reader) == []
    write(writer, "one", "two")
    write(writer, "three")
    assert texts(reader) == ["one", "two", "three"]
    assert texts(reader) == []
    write(writer, "four")
    other = LogReader(store, spec.run, spec.ref, reader.next_chunk)
    assert texts(other) == ["four"]
    assert other.next_chunk == 3


class FakeLogs:
    def get_log_events(self, **request: Any) -> dict[str, Any]:
        if request["logStreamName"] == "forbidden":
            raise client_error("GetLogEvents", "AccessDeniedException", "no")
        assert request["logGroupName"] == "/aws/batch/job"
        return {"events": [{"message": "No module named boto3"}]}


def test_what_a_container_printed() -> None:
    assert container_log(FakeLogs(), "stream") == ["No module named boto3"]


def test_a_log_that_may_not_be_read_is_no_failure() -> None:
    assert container_log(FakeLogs(), "forbidden") == []


def test_a_read_that_fails_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FlowDatastore.at(str(tmp_path), "F")
    ref = TaskRef("a", "0", 0)
    for number in range(3):
        store.write_log_chunk("r", ref, number, b'[1, "stdout", "line %d"]\n' % number)
    reader = LogReader(store, "r", ref)
    read = store.read_log_chunk
    failures = [2]

    def failing(run: str, ref: TaskRef, number: int) -> bytes | None:
        if number in failures:
            failures.remove(number)
            raise DatastoreError("a hiccup")
        return read(run, ref, number)

    monkeypatch.setattr(store, "read_log_chunk", failing)
    seen = []
    for _ in range(2):
        try:
            while (lines := reader.next_lines()) is not None:
                seen += [line.text for line in lines]
        except DatastoreError:
            continue
    assert seen == ["line 0", "line 1", "line 2"]
