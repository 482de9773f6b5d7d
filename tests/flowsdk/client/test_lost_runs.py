"""Runs of which nothing is heard any more, and runs that cannot be read."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from flowsdk.client import Flow, Metaflow, Run, Task, metadata, namespace
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.spec import TaskRef
from tests.flowsdk.client.recorded import record, store_at

END = TaskRef("end", "0", 0)


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    root = str(tmp_path / "root")
    metadata(f"local@{root}")
    return store_at(root)


def path_of(store: FlowDatastore, key: str) -> Path:
    return Path(store.storage.uri(key))


def killed(store: FlowDatastore, silent: float) -> str:
    """A run whose process was killed while its last step ran, so many seconds ago."""
    run = record(store.storage.root)
    store.storage.delete([keys.run_end("HelloFlow", run), keys.result("HelloFlow", run, END)])
    then = time.time() - silent
    os.utime(path_of(store, keys.run_alive("HelloFlow", run)), (then, then))
    return run


def test_a_run_that_has_been_silent_for_minutes_has_failed(store: FlowDatastore) -> None:
    name = killed(store, silent=400)
    run = Run(f"HelloFlow/{name}")
    assert (run.status, run.finished, run.successful) == ("failed", True, False)
    assert run.finished_at
    silent = datetime.now(timezone.utc) - run.finished_at
    assert timedelta(seconds=399) < silent < timedelta(seconds=460)
    task = Task(f"HelloFlow/{name}/end/0")
    assert (task.finished, task.successful, task.finished_at) == (True, False, run.finished_at)
    assert Flow("HelloFlow").latest_successful_run is None


def test_a_run_that_was_heard_of_lately_goes_on(store: FlowDatastore) -> None:
    name = killed(store, silent=120)
    run = Run(f"HelloFlow/{name}")
    assert (run.status, run.finished_at) == ("running", None)
    assert not Task(f"HelloFlow/{name}/end/0").finished


def test_a_run_that_is_heard_of_again_goes_on(store: FlowDatastore) -> None:
    name = killed(store, silent=400)
    run = Run(f"HelloFlow/{name}")
    assert run.status == "failed"
    store.write_alive(name)
    assert run.status == "running"


def test_a_run_that_came_to_its_end_before_it_was_killed_has_succeeded(
    store: FlowDatastore,
) -> None:
    name = record(store.storage.root)
    store.storage.delete([keys.run_end("HelloFlow", name)])
    os.utime(path_of(store, keys.run_alive("HelloFlow", name)), (0, 0))
    assert Run(f"HelloFlow/{name}").successful


@pytest.mark.parametrize("tag", [None, "user:ann"])
@pytest.mark.parametrize("odd_id", [False, True])
def test_a_run_that_cannot_be_read_does_not_hide_the_others(
    store: FlowDatastore, caplog: pytest.LogCaptureFixture, tag: str | None, odd_id: bool
) -> None:
    good = record(store.storage.root)
    bad = record(store.storage.root, run_id="without-a-time" if odd_id else None)
    path = path_of(store, keys.run_document("HelloFlow", bad))
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 1}))
    namespace(tag)
    assert [run.id for run in Flow("HelloFlow").runs()] == [good]
    latest = Flow("HelloFlow").latest_run
    assert latest
    assert latest.id == good
    assert Metaflow().flows == [Flow("HelloFlow")]
    assert [record.getMessage() for record in caplog.records] == [
        f"Run HelloFlow/{bad} is left out: RunSpec of schema version 1 ({path}): this flowsdk reads "
        f"version 2. Use the flowsdk version that wrote it."
    ]
