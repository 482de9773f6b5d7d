"""What a command line says about a flow travels with it into the dags folder, and is its DAG there."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_flowprovider import policy
from flowsdk.deployment import Deployment
from tests.airflow_flowprovider.dagfiles import DagFile, canonical, serialized
from tests.airflow_flowprovider.moved import cron
from tests.flowsdk.flows import run_flow

FLOW = """
from flowsdk import Config, FlowSpec, Parameter, config_expr, project, resources, schedule, step

@schedule(cron=config_expr("plan.cron"))
@project(name="demo")
class TravelFlow(FlowSpec):
    plan = Config("plan", required=True)
    tuned = Config("tuned", default_value={"depth": 1})
    depth = Parameter("depth", default=config_expr("tuned.depth"))

    @resources(memory=config_expr("plan.memory"))
    @step
    def start(self):
        pass

if __name__ == "__main__":
    TravelFlow()
"""
PLAN = '{"memory": 512, "cron": "0 5 * * *"}'


@pytest.fixture
def flow_file(tmp_path: Path) -> Path:
    path = tmp_path / "project" / "travel.py"
    path.parent.mkdir()
    path.write_text(FLOW)
    return path


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    policy.install()
    folder = tmp_path / "dags"
    folder.mkdir()
    return folder


def create(flow_file: Path, dags: Path, *before: str, after: tuple[str, ...] = ()) -> str:
    """What ``airflow create`` says on its error stream; empty if it succeeds."""
    done = run_flow(
        flow_file, "--quiet", *before, "airflow", "create", "--no-wait", *after,
        env={"FLOWSDK_DAGS_FOLDER": str(dags)},
    )  # fmt: skip
    assert (done.returncode == 0) is (not done.stderr), done.stderr
    return done.stderr


def test_configs_and_branch_are_those_of_the_command_line(flow_file: Path, dags: Path) -> None:
    assert not create(flow_file, dags, "--config-value", "plan", PLAN, "--branch", "x")
    beside = dags / "travel.TravelFlow.json"
    assert Deployment.from_json(beside.read_text()) == Deployment(
        {"plan": PLAN, "tuned": '{"depth": 1}'}, "test.x"
    )
    dag = DagFile(dags / "travel.py").dag
    assert dag.dag_id == "demo.test.x.TravelFlow"
    assert dag.get_task("start").job["memory_mib"] == 512  # type: ignore[attr-defined]
    assert cron(dag.timetable) == "0 5 * * *"
    assert canonical(serialized(dag)) == canonical(serialized(DagFile(dags / "travel.py").dag))

    # Given from the environment and changed: the DAG changes with it.
    more = PLAN.replace("512", "1024")
    plan = flow_file.with_name("plan.json")
    plan.write_text(more)
    assert not create(flow_file, dags, "--config", "plan", "plan.json", "--branch", "x")
    assert DagFile(dags / "travel.py").dag.get_task("start").job["memory_mib"] == 1024  # type: ignore[attr-defined]


def test_without_what_the_command_line_has_said_there_is_no_dag(
    flow_file: Path, dags: Path
) -> None:
    told = create(flow_file, dags, "--production")
    assert "Config 'plan'" in told
    assert "found no value, expected one: --config plan FILE" in told
    (dags / "travel.py").write_text(FLOW)
    assert "Config 'plan'" in DagFile(dags / "travel.py").import_error


def test_what_was_said_about_a_flow_is_not_for_those_who_run_it(
    flow_file: Path, dags: Path
) -> None:
    assert not create(flow_file, dags, "--config-value", "plan", PLAN, "--production")
    done = run_flow(dags / "travel.py", "--quiet", "run")
    assert "Config 'plan'" in done.stderr


def test_a_dags_folder_holds_one_branch_of_a_flow(flow_file: Path, dags: Path) -> None:
    given = ("--config-value", "plan", PLAN)
    assert not create(flow_file, dags, *given, "--production")
    assert DagFile(dags / "travel.py").dag.dag_id == "demo.prod.TravelFlow"
    told = create(flow_file, dags, *given)
    assert "as branch prod, expected user.tester" in told
    assert DagFile(dags / "travel.py").dag.dag_id == "demo.prod.TravelFlow"
    assert not create(flow_file, dags, *given, after=("--overwrite",))
    assert DagFile(dags / "travel.py").dag.dag_id == "demo.user.tester.TravelFlow"


def test_a_file_that_is_not_one_of_ours_is_told(flow_file: Path, dags: Path) -> None:
    (dags / "travel.py").write_text(FLOW)
    (dags / "travel.TravelFlow.json").write_text("{}")
    assert "Deployment of schema version None" in DagFile(dags / "travel.py").import_error
