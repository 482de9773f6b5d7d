"""A step that reads results finds those of the datastore that it runs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.client import Run, get_metadata, metadata
from flowsdk.client.selection import current_provider
from flowsdk.current_task import current
from tests.flowsdk.client.conftest import USER
from tests.flowsdk.client.recorded import record
from tests.flowsdk.client.shapes import ReaderFlow
from tests.flowsdk.examples import SPEC


def test_a_flow_reads_the_results_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "root")
    record(root)
    record(root, alpha="-1")
    # What this shell looks at is somewhere else.
    monkeypatch.setenv("FLOWSDK_METADATA", f"local@{tmp_path / 'elsewhere'}")
    name = record(root, flow=ReaderFlow)
    metadata(f"local@{root}")
    run = Run(f"ReaderFlow/{name}")
    assert run["start"]["0"].data.greetings == ["hello ann", "hello bob", "hello cleo"]
    assert run["start"]["0"].data.namespace_inside == f"user:{USER}"
    assert run.data.own == ("running", ["end", "start"])


def test_a_step_may_choose_to_look_elsewhere(tmp_path: Path) -> None:
    current._begin(SPEC, [], str(tmp_path))
    try:
        inside = get_metadata()
        assert inside in (SPEC.root, f"local@{SPEC.root}")
        assert metadata(f"local@{tmp_path}") == get_metadata() == f"local@{tmp_path}"
    finally:
        current._end()
    assert current_provider().name == f"local@{tmp_path}"
