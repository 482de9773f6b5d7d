"""Flows of a project on the command line and in the Deployer: their DAGs have longer names."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.deployer.deployed import DeployedFlow
from flowsdk.exception import UsageError
from tests.flowsdk.client.fake_airflow import dag_run
from tests.flowsdk.deployer.deploying_airflow import DeployingAirflow
from tests.flowsdk.deployer.test_cli_airflow import Deployment, cli  # noqa: F401  # a fixture

NAME = "demo.prod.DeployedFlow"


@pytest.fixture
def deployed(
    cli: Deployment,  # noqa: F811
    airflow: DeployingAirflow,
) -> Deployment:
    path: Path = cli.flow_file
    text = path.read_text().replace("@schedule(", '@project(name="demo")\n@schedule(')
    path.write_text(text.replace("import FlowSpec,", "import FlowSpec, project,"))
    airflow.names["DeployedFlow"] = NAME
    airflow.params[NAME] = {"alpha": {"value": 1}}
    outcome = cli("--production", "airflow", "create")
    assert outcome.code == 0, outcome.err
    assert f"Flow {NAME} is deployed and active" in outcome.out
    return cli


def test_all_commands_mean_the_branch(deployed: Deployment, airflow: DeployingAirflow) -> None:
    run = deployed.json("--production", "airflow", "trigger", "--alpha", "3", "--run-id", "r1")
    assert run["pathspec"] == f"{NAME}/r1"
    assert [r["run_id"] for r in deployed.json("--production", "airflow", "list-runs")] == ["r1"]
    assert deployed.json("--production", "airflow", "status")["flow"] == NAME
    assert deployed.json("--production", "airflow", "status", "r1")["run_id"] == "r1"
    assert deployed.json("--production", "airflow", "pause") == {"flow": NAME, "paused": True}
    assert deployed.json("--production", "airflow", "unpause")["paused"] is False
    assert deployed.json("--production", "airflow", "terminate", "r1")["terminated"]
    outcome = deployed("airflow", "status")
    assert "Flow 'demo.user.tester.DeployedFlow' is not deployed" in outcome.err
    assert f"Did you mean '{NAME}'" in outcome.err
    gone = deployed.json("--production", "airflow", "delete")["deleted"]
    assert {"hello_flow.py", "hello_flow.DeployedFlow.json"} <= set(gone)
    assert NAME not in airflow.shown


def test_the_files_of_another_branch_are_not_deleted(
    deployed: Deployment, airflow: DeployingAirflow
) -> None:
    outcome = deployed("airflow", "delete")
    assert "found it there as branch prod, expected user.tester" in outcome.err
    assert NAME in airflow.shown
    assert deployed.json("--production", "airflow", "delete")["deleted"]


def test_a_deployed_flow_knows_its_class(deployed: Deployment, airflow: DeployingAirflow) -> None:
    (found,) = DeployedFlow.list_deployed_flows("DeployedFlow", f"airflow@{airflow.url}")
    assert (found.name, found.flow_name) == (NAME, "DeployedFlow")


def conf(airflow: DeployingAirflow) -> object:
    return airflow.dag_runs[-1]["conf"]


def test_a_run_is_resumed(deployed: Deployment, airflow: DeployingAirflow) -> None:
    outcome = deployed("--production", "airflow", "resume")
    assert f"flow {NAME} has no run in Airflow, expected one" in outcome.err
    airflow.params[NAME] |= {
        "needed": {"value": None, "schema": {"type": "integer"}},
        "free": {"value": None, "schema": {"type": ["integer", "null"]}},
    }
    given = {"alpha": 2, "needed": 3, "free": 4}
    airflow.dag_runs.append({**dag_run(NAME, "r1", "failed", 1), "conf": given})
    made = deployed.json("--production", "airflow", "resume", "--run-id", "r2")
    # Airflow starts no run without a value for what is required.
    assert (made["run_id"], conf(airflow)) == ("r2", {"resume": "r1", "needed": 3})
    words = ("end", "--origin-run-id", "DeployedFlow/2026", "--run-id", "r3")
    deployed.json("--production", "airflow", "resume", *words)
    assert conf(airflow) == {"resume": {"run": "DeployedFlow/2026", "step": "end"}}
    outcome = deployed("--production", "airflow", "resume", "ende")
    assert "no step 'ende', expected one of start, end. Did you mean 'end'?" in outcome.err

    flow = DeployedFlow.from_deployment(NAME, f"airflow@{airflow.url}")
    assert flow.resume("r1").pathspec.startswith(f"{NAME}/manual__")
    assert conf(airflow) == {"resume": "r1", "needed": 3}
    flow.pause()
    with pytest.raises(UsageError, match="found it paused"):
        flow.resume("r1")
