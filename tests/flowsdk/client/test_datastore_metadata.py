"""The same runs in S3: what the client asks for, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flowsdk.client import Flow, Run, Task, metadata
from flowsdk.datastore import open_storage
from flowsdk.datastore.s3 import S3Storage
from tests.flowsdk.client.conftest import Recorded

ROOT = "s3://flows/client"


class Requests(list[str]):
    """The S3 operations since the last look."""

    def note(self, model: Any, **_: Any) -> None:
        self.append(model.name)

    def take(self) -> list[str]:
        taken, self[:] = list(self), []
        return taken


@pytest.fixture
def requests(recorded: Recorded) -> Iterator[Requests]:
    """The recorded runs, copied to moto's S3 in this process."""
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto")
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="flows")
        source, target = open_storage(recorded.root), open_storage(ROOT)
        for key in source.keys(""):
            target.write(key.removeprefix("./"), [source.read(key)])
        metadata(ROOT)
        from flowsdk.client.selection import _datastore, current_provider

        storage = current_provider().store("HelloFlow", "").storage
        assert isinstance(storage, S3Storage)
        seen = Requests()
        storage.client.meta.events.register("before-call.s3", seen.note)
        yield seen
        _datastore.cache_clear()  # its client belongs to this moto


def test_the_last_successful_runs_data_in_a_handful_of_requests(
    requests: Requests, recorded: Recorded
) -> None:
    run = Flow("HelloFlow").latest_successful_run
    assert run
    assert run.id == recorded.good
    assert len(requests.take()) <= 6
    assert run.data.greetings == ["hello ann", "hello bob", "hello cleo"]
    assert requests.take() == ["ListObjectsV2", "GetObject", "GetObject"]


def test_a_task_takes_a_listing_and_a_result(requests: Requests, recorded: Recorded) -> None:
    task = Task(f"HelloFlow/{recorded.good}/greet/1")
    # The third document says that the run is in the namespace.
    assert requests.take() == ["ListObjectsV2", "GetObject", "GetObject"]
    assert (task.successful, task.index, task.current_attempt) == (True, 1, 1)
    assert list(task)
    assert requests.take() == []


def test_any_task_of_a_step_does_not_read_all_of_them(
    requests: Requests, recorded: Recorded
) -> None:
    step = Run(f"HelloFlow/{recorded.good}")["greet"]
    requests.take()
    assert step.task
    assert requests.take() == ["ListObjectsV2", "GetObject"]
    assert [task.id for task in step] == ["2", "1", "0"]
    assert requests.take() == ["ListObjectsV2", "GetObject", "GetObject", "GetObject"]


def test_everything_is_as_in_a_folder(requests: Requests, recorded: Recorded) -> None:
    run = Run(f"HelloFlow/{recorded.failed}")
    assert (run.status, [step.id for step in run]) == ("failed", ["end", "join", "greet", "start"])
    assert run.end_task
    assert run.end_task.exception
    assert "alpha is negative" in run.end_task.stderr
    assert Flow("HelloFlow").latest_run == run
