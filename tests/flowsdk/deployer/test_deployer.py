from __future__ import annotations

import linecache
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flowsdk import DeployedFlow, Deployer, NBDeployer
from flowsdk.exception import CommandFailed, DeploymentError, NotFound, UsageError
from tests.flowsdk.client.fake_airflow import dag_run
from tests.flowsdk.deployer.deploying_airflow import DeployingAirflow

FILES = {"hello_flow.py", "beside.py", "pkg/__init__.py", "pkg/more.py", "words.txt"}


@pytest.fixture
def deployed(airflow: DeployingAirflow) -> DeployedFlow:
    """A flow that was deployed at another time."""
    (airflow.folder / "hello_flow.py").write_text("class DeployedFlow(FlowSpec): ...")
    found = DeployedFlow.from_deployment("DeployedFlow")
    found.unpause()
    return found


def present(folder: Path) -> set[str]:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in files if not name.startswith(".flowsdk/")}


def test_a_flow_from_its_file_to_its_end(
    flow_file: Path, airflow: DeployingAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    with Deployer("hello_flow.py") as deployer:
        deployed = deployer.airflow(name="DeployedFlow").create()
    assert present(airflow.folder) == FILES
    assert "Flow DeployedFlow is deployed and active" in capsys.readouterr().out
    assert (deployed.name, deployed.flow_name) == ("DeployedFlow", "DeployedFlow")
    assert deployed.metadata == f"airflow@{airflow.url}"
    assert deployed.production_token is None
    assert deployed.status == "ACTIVE"

    run = deployed.trigger(alpha=3, some_words=["a", "b"])
    assert airflow.dag_runs[-1]["conf"] == {"alpha": 3, "some-words": ["a", "b"]}
    assert run.pathspec.startswith("DeployedFlow/manual__")
    assert (run.status, run.is_running, run.run) == ("PENDING", True, None)
    airflow.dag_runs[-1]["state"] = "running"
    assert run.wait_for_run(check_interval=0.01).pathspec == run.pathspec
    assert run.status == "RUNNING"
    with pytest.raises(DeploymentError, match="found runs that have not ended"):
        deployed.delete()
    assert deployed.status == "ACTIVE"
    assert run.terminate() is True
    assert (run.status, run.is_running) == ("FAILED", False)
    assert run.terminate() is False
    assert run.wait_for_completion(check_interval=0.01) == "FAILED"

    deployed.delete()
    assert present(airflow.folder) == set()
    with pytest.raises(NotFound, match="'DeployedFlow' is not deployed"):
        _ = deployed.status


def test_what_create_says_when_it_cannot(flow_file: Path, airflow: DeployingAirflow) -> None:
    deployer = Deployer(flow_file, show_output=False)
    with pytest.raises(CommandFailed, match="Did you mean 'dags_folder'"):
        deployer.airflow().create(dag_folder="x")
    with pytest.raises(CommandFailed, match="--name OtherFlow: the DAG of a flow has the flow's"):
        deployer.airflow(name="OtherFlow").create()
    assert present(airflow.folder) == set()
    with pytest.raises(UsageError, match="nothing says where Airflow is"):
        Deployer(flow_file, show_output=False, env={"FLOWSDK_AIRFLOW_URL": ""}).airflow().create(
            no_wait=True
        )
    deployer.cleanup()


def test_runs_are_listed_newest_first(deployed: DeployedFlow, airflow: DeployingAirflow) -> None:
    for number, state in enumerate(["success", "failed", "queued", "running"], 1):
        airflow.dag_runs.append(dag_run("DeployedFlow", f"r{number}", state, number))
    assert [run.run_id for run in deployed.list_runs()] == ["r4", "r3", "r2", "r1"]
    assert [run.run_id for run in deployed.list_runs(limit=2)] == ["r4", "r3"]
    some = deployed.list_runs(["SUCCEEDED", "running"])
    assert [(run.run_id, run.status) for run in some] == [("r4", "RUNNING"), ("r1", "SUCCEEDED")]
    with pytest.raises(UsageError, match=r"found 'FAILD', expected .* Did you mean 'FAILED'"):
        deployed.list_runs(["FAILD"])


def test_a_run_that_was_triggered_by_somebody_else(
    deployed: DeployedFlow, airflow: DeployingAirflow
) -> None:
    airflow.dag_runs.append(dag_run("DeployedFlow", "scheduled__1", "queued", 1))
    run = DeployedFlow.get_triggered_run("DeployedFlow", "scheduled__1")
    for wait in (run.wait_for_run, run.wait_for_completion):
        with pytest.raises(TimeoutError, match="found it PENDING, expected it to"):
            wait(check_interval=0.01, timeout=0.05)
    with pytest.raises(NotFound, match="has no run 'scheduled__2'.*Did you mean 'scheduled__1'"):
        DeployedFlow.get_triggered_run("DeployedFlow", "scheduled__2")


def test_parameters_are_checked(deployed: DeployedFlow, airflow: DeployingAirflow) -> None:
    with pytest.raises(UsageError) as caught:
        deployed.trigger(alhpa=1, beta=2)
    assert "'alhpa': flow DeployedFlow has none" in str(caught.value)
    assert "Did you mean 'alpha'?" in str(caught.value)
    assert "'beta'" in str(caught.value)
    with pytest.raises(UsageError, match="refuses the run.*-1 is less than the minimum"):
        deployed.trigger(alpha=-1)
    assert not airflow.dag_runs


def test_a_paused_flow_is_not_triggered(deployed: DeployedFlow) -> None:
    deployed.pause()
    assert (deployed.is_paused, deployed.status) == (True, "PAUSED")
    with pytest.raises(UsageError, match="found it paused"):
        deployed.trigger()
    deployed.unpause()
    deployed.trigger()


def test_a_run_of_an_id_of_ones_own_is_started_once(deployed: DeployedFlow) -> None:
    deployed.trigger_as("mine", {})
    with pytest.raises(UsageError, match="A run of that id exists"):
        deployed.trigger_as("mine", {})


def test_a_backfill(deployed: DeployedFlow, airflow: DeployingAirflow) -> None:
    assert deployed.backfill("2026-11-01", date(2026, 11, 3), parameters={"alpha": 4}) == 7
    assert airflow.bodies[-1] == {
        "dag_id": "DeployedFlow",
        "from_date": "2026-11-01T00:00:00+00:00",
        "to_date": "2026-11-03T23:59:59+00:00",
        "max_active_runs": 10,
        "reprocess_behavior": "none",
        "run_backwards": False,
        "dag_run_conf": {"alpha": 4},
    }
    dates = deployed.backfill_dates("2026-11-01T06:00+01:00", "2026-11-03")
    assert dates == ["2026-11-01T06:00:00+01:00"]
    with pytest.raises(UsageError, match="found 'soon' to '2026-11-03', expected dates"):
        deployed.backfill("soon", "2026-11-03")
    with pytest.raises(UsageError, match="2026-11-03 comes after 2026-11-01"):
        deployed.backfill_dates("2026-11-03", "2026-11-01")
    with pytest.raises(UsageError, match="Parameter 'alhpa'"):
        deployed.backfill("2026-11-01", "2026-11-03", parameters={"alhpa": 1})
    deployed.pause()
    with pytest.raises(UsageError, match="found it paused"):
        deployed.backfill("2026-11-01", "2026-11-03")


def test_deployed_flows_are_listed(deployed: DeployedFlow, airflow: DeployingAirflow) -> None:
    (airflow.folder / "more.py").write_text("class MoreFlow(FlowSpec): ...")
    assert [flow.name for flow in DeployedFlow.list_deployed_flows()] == [
        "DeployedFlow",
        "MoreFlow",
    ]
    assert [flow.name for flow in DeployedFlow.list_deployed_flows("MoreFlow")] == ["MoreFlow"]
    with pytest.raises(NotFound, match="Did you mean 'MoreFlow'"):
        DeployedFlow.from_deployment("MoreFlw")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"impl": "argo-workflows"}, "found 'argo-workflows', expected 'airflow'"),
        ({"metadata": "local"}, "expected airflow@http://host:port"),
        ({"metadata": "airflow@host:80"}, "found 'host:80', expected http://host:port"),
    ],
)
def test_there_is_only_airflow(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DeployedFlow.from_deployment("F", **arguments)


def test_without_an_address() -> None:
    with pytest.raises(UsageError, match="found no address. Pass --airflow .* FLOWSDK_AIRFLOW_URL"):
        DeployedFlow.from_deployment("F")


def test_a_flow_of_a_notebook(flow_file: Path, airflow: DeployingAirflow) -> None:
    cell = (
        "from flowsdk import FlowSpec, NBDeployer, step\n\n\n"
        "class CellFlow(FlowSpec):\n"
        "    @step\n    def start(self):\n        self.next(self.end)\n\n"
        "    @step\n    def end(self):\n        pass\n\n\n"
    )
    last = "deployed = NBDeployer(CellFlow, show_output=False).airflow().create()\n"
    linecache.cache["<cell>"] = (0, None, (cell + last).splitlines(keepends=True), "<cell>")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(cell, "<cell>", "exec"), namespace)
    before = set(Path.cwd().iterdir())
    for _ in range(2):  # the cell may be executed again: the file is called the same
        deployer = NBDeployer(namespace["CellFlow"], show_output=False)
        assert deployer.airflow().create().name == "CellFlow"
        deployer.cleanup()
        assert present(airflow.folder) == {"CellFlow.py"}
    assert set(Path.cwd().iterdir()) == before
