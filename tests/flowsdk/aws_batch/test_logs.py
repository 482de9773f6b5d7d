from __future__ import annotations

from typing import Any

from flowsdk.aws_batch.logs import LogReader, container_log
from flowsdk.datastore import FlowDatastore
from flowsdk.runtime.logs import LogLine, LogWriter
from flowsdk.spec import TaskSpec
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
