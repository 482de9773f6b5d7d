from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsdk.client import Run, default_metadata, metadata
from flowsdk.current_task import current
from flowsdk.events import MetaflowEvent, Trigger
from flowsdk.spec import TaskSpec
from tests.flowsdk.client.recorded import record

EVENT = {"name": "x", "id": "x@1", "timestamp": 5.0, "type": "event"}
OTHER = {"name": "y", "id": "y@1", "timestamp": 6.0, "type": "event"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    root: Path = tmp_path_factory.mktemp("events")
    run_id = record(str(root))
    metadata(f"local@{root}")
    yield Run(f"HelloFlow/{run_id}", _namespace_check=False)
    default_metadata()


def test_one_event() -> None:
    found = Trigger([EVENT])
    assert found.event == found["x"] == MetaflowEvent(**EVENT)
    assert found.events == [found.event]
    assert (found.run, found.runs, found.type) == (None, None, "event")
    assert "x" in found
    assert "y" not in found
    with pytest.raises(KeyError):
        found["y"]


def test_several_events() -> None:
    found = Trigger([EVENT, OTHER])
    assert found.event is None
    assert found.events == [found["x"], found["y"]]
    assert found.type == "many-events"


def test_a_run(run: Run) -> None:
    found = Trigger.from_runs([run])
    assert found.type == "run"
    assert found.run == run
    assert found.runs == [run]
    assert found["HelloFlow"] == run
    assert found.event is found.events is None


def test_nothing() -> None:
    found = Trigger()
    assert not found
    assert found.type is found.run is found.event is None


def test_a_step_sees_what_has_triggered_its_run(tmp_path: Path) -> None:
    spec = TaskSpec("Flow", "1", "start", "0", 0, str(tmp_path), facts={"trigger": [EVENT]})
    current._begin(spec, [], str(tmp_path))
    try:
        assert current.trigger.event.name == "x"
    finally:
        current._end()
