"""What a run is given beside parameters, where a flow is a DAG: Configs, files, a project, events."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_flowprovider.operators.runs import start_run
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import ParameterError
from tests.airflow_flowprovider.dagfiles import DagFile, canonical, serialized
from tests.airflow_flowprovider.moved import cron
from tests.airflow_flowprovider.operators.fakes import FakeTaskInstance, context

FLOW = """
from flowsdk import Config, FlowSpec, IncludeFile, Parameter, config_expr, project, resources
from flowsdk import schedule, step

@schedule(cron=config_expr("cfg.cron"))
@project(name=config_expr("cfg.project"))
class Given(FlowSpec):
    config = Config("cfg", default="cfg.json")
    depth = Parameter("depth", default=config.model.depth)
    movies = IncludeFile("movies", default="movies.csv", help="Titles.")

    @resources(**config.resources)
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
CONFIG = {
    "cron": "5 4 * * *",
    "project": "demo",
    "model": {"depth": 3},
    "resources": {"cpu": 4, "memory": 512},
}


@pytest.fixture
def given(dag_file: Callable[..., DagFile], tmp_path: Path) -> Callable[..., DagFile]:
    def write(**changes: Any) -> DagFile:
        (tmp_path / "cfg.json").write_text(json.dumps({**CONFIG, **changes}))
        (tmp_path / "movies.csv").write_text("a,b\n")
        return dag_file(FLOW)

    return write


def test_a_config_beside_the_file_decides_what_the_dag_is(given: Callable[..., DagFile]) -> None:
    dag = given().dag
    assert dag.dag_id == "demo.prod.Given"
    assert cron(dag.timetable) == "5 4 * * *"
    assert dag.params.validate() == {"depth": 3, "movies": "movies.csv"}
    assert dag.get_task("start").job == {"vcpu": 4, "memory_mib": 512}
    assert dag.get_task("end").job["vcpu"] == 1


def test_only_a_changed_config_makes_a_new_version(given: Callable[..., DagFile]) -> None:
    first = canonical(serialized(given().dag))
    assert canonical(serialized(given().dag)) == first
    assert canonical(serialized(given(resources={"cpu": 8}).dag)) != first


def test_a_config_that_is_missing_is_an_import_error(
    given: Callable[..., DagFile], tmp_path: Path
) -> None:
    file = given()
    (tmp_path / "cfg.json").unlink()
    assert f"found no such file, expected {tmp_path}/cfg.json." in file.import_error


def start(dag: Any, store: FlowDatastore, **given: Any) -> Any:
    flow = dag.get_task("start").flow
    return start_run(flow, store, context(FakeTaskInstance("start"), given))


def test_a_run_pins_its_configs_and_stores_its_file(
    given: Callable[..., DagFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    store = FlowDatastore.at(str(tmp_path / "root"), "Given")
    run = start(given().dag, store, depth=5, movies="movies.csv")
    assert run.configs == {"cfg": json.dumps(CONFIG)}
    assert run.parameters["depth"] == 5
    assert run.parameters["movies"]["included"]["preview"] == repr("a,b\n")
    assert {"project:demo", "project_branch:prod"} <= set(run.system_tags)


def test_whoever_triggers_a_run_cannot_read_the_workers_files(
    given: Callable[..., DagFile], tmp_path: Path
) -> None:
    store = FlowDatastore.at(str(tmp_path / "root"), "Given")
    dag = given().dag
    for path in ("/etc/hostname", "../x", os.devnull):
        with pytest.raises(
            ParameterError, match="expected a path in the folder of the flow's file"
        ):
            start(dag, store, movies=path)
