"""The tutorials under Airflow leave the same artifacts as on a laptop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flowsdk.client import Flow, Run, metadata
from tests.e2e.support import ROOT, Airflow, python

TUTORIALS = {
    "HelloWorldFlow": "00-helloworld/helloworld.py",
    "PlaylistFlow": "01-playlist/playlist.py",
    "MovieStatsFlow": "02-statistics/stats.py",
    "PlaylistReduxFlow": "03-playlist-redux/playlist.py",
}
READ = """
import json
from flowsdk import Run, namespace
namespace(None)
run = Run({pathspec!r})
print(json.dumps({{
    f"{{step.id}}/{{task.id}}": {{artifact.id: repr(artifact.data) for artifact in task}}
    for step in run for task in step
}}))
"""


def read(airflow: Airflow, flow: str, run: str) -> dict[str, Any]:
    """The artifacts of a run under Airflow, once it has ended."""
    assert airflow.wait(flow, run) == "success"
    printed = airflow.read_with_client(READ.format(pathspec=f"{flow}/{run}"))
    return dict(json.loads(printed))


def on_a_laptop(folder: Path, flow: str, *arguments: str) -> dict[str, Any]:
    root = folder / "store"
    file = folder / "tutorials" / TUTORIALS[flow]
    python([str(file), "--datastore-root", str(root), "run", *arguments], {"USER": "tester"})
    metadata(f"local@{root}")
    run = next(iter(Flow(flow, _namespace_check=False)))
    return artifacts_of(run)


def artifacts_of(run: Run) -> dict[str, Any]:
    return {
        f"{step.id}/{task.id}": {artifact.id: repr(artifact.data) for artifact in task}
        for step in run
        for task in step
    }


@pytest.mark.timeout(600)  # four flows, of which one has to wait for another
def test_every_tutorial_leaves_what_it_leaves_on_a_laptop(airflow: Airflow, tmp_path: Path) -> None:
    for folder in (airflow.dags, tmp_path):
        shutil.copytree(ROOT / "flowsdk" / "tutorials", folder / "tutorials")
    given = {"genre": "comedy", "recommendations": 3}
    options = ("--genre", "comedy", "--recommendations", "3")
    last = "PlaylistReduxFlow"  # reads a run of MovieStatsFlow
    runs = {
        flow: airflow.trigger(flow, given if flow == "PlaylistFlow" else {})
        for flow in TUTORIALS
        if flow != last
    }
    there = {flow: read(airflow, flow, run) for flow, run in runs.items()}
    there[last] = read(airflow, last, airflow.trigger(last, given))
    for flow in TUTORIALS:
        here = on_a_laptop(tmp_path, flow, *(options if flow.startswith("Playlist") else ()))
        for artifacts in (*there[flow].values(), *here.values()):
            artifacts.pop("source", None)  # names a run
        assert there[flow] == here, flow
