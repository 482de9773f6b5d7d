from __future__ import annotations

import json
import runpy
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowsdk.deployer.deployed import DeployedFlow
from flowsdk.deployer.server import AirflowServer
from tests.flowsdk.cli.conftest import Outcome
from tests.flowsdk.client.fake_airflow import dag_run
from tests.flowsdk.deployer.deploying_airflow import DeployingAirflow

WRITTEN = ["beside.py", "hello_flow.py", "pkg/__init__.py", "pkg/more.py", "words.txt"]


class Deployment:
    """``python hello_flow.py airflow …``, as a process of its own would carry it out."""

    def __init__(self, flow_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.flow_file = flow_file
        self._capsys = capsys

    def __call__(self, *words: str) -> Outcome:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", [str(self.flow_file), *words])
            patch.syspath_prepend(str(self.flow_file.parent))
            with pytest.raises(SystemExit) as end:
                runpy.run_path(str(self.flow_file), run_name="__main__")
        code = end.value.code
        assert isinstance(code, int)
        return Outcome(code, *self._capsys.readouterr())

    def json(self, *words: str) -> Any:
        outcome = self(*words, "--json")
        assert outcome.code == 0, outcome.err
        return json.loads(outcome.out)


@pytest.fixture
def cli(flow_file: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Deployment]:
    before = set(sys.modules)
    yield Deployment(flow_file, capsys)
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("beside", "pkg"):
            del sys.modules[name]


@pytest.fixture
def deployed(cli: Deployment, airflow: DeployingAirflow) -> Deployment:
    assert cli("airflow", "create").code == 0
    return cli


# -- create


def test_create_copies_waits_and_lets_the_flow_run(
    cli: Deployment,
    airflow: DeployingAirflow,
) -> None:
    outcome = cli("airflow", "create")
    assert outcome.code == 0
    first, *lines, waiting, done, link = outcome.out.splitlines()
    assert first == f"Deployed to {airflow.folder}"
    assert lines == [f"    written {name}" for name in WRITTEN]
    assert waiting == f"Waiting until Airflow at {airflow.url} has parsed hello_flow.py ..."
    assert done.startswith("Flow DeployedFlow is deployed and active (")
    assert link.strip() == f"{airflow.url}/dags/DeployedFlow"
    assert airflow.shown["DeployedFlow"]["is_paused"] is False
    # Again: nothing to do. A flow that somebody has paused stays so.
    airflow.shown["DeployedFlow"]["is_paused"] = True
    again = cli.json("airflow", "create")
    assert (again["written"], again["unchanged"]) == ([], WRITTEN)
    assert again["paused"] is True
    # Changed: Airflow's new parse is awaited.
    (cli.flow_file.parent / "beside.py").write_text("NAME = 'changed'\n")
    changed = cli.json("airflow", "create")
    assert (changed["written"], changed["deleted"]) == (
        ["beside.py"],
        ["pkg/__init__.py", "pkg/more.py"],
    )
    assert changed["parsed_at"] > again["parsed_at"]


def test_create_waits_for_the_text_that_was_deployed(
    cli: Deployment,
    airflow: DeployingAirflow,
) -> None:
    assert cli("airflow", "create", "--paused").code == 0
    assert airflow.shown["DeployedFlow"]["is_paused"] is True
    cli.flow_file.write_text(cli.flow_file.read_text() + "# changed\n")
    airflow.parses = False
    outcome = cli("airflow", "create", "--timeout", "0.3")
    assert outcome.code == 1
    assert "expected it to parse the deployed file within 0.3 s" in outcome.err
    assert any("PUT /api/v2/parseDagFile/token-of-hello_flow.py" in r for r in airflow.requests)
    timer = threading.Timer(0.3, airflow.parse)
    timer.start()
    assert cli("airflow", "create", "--timeout", "20").code == 0
    timer.join()
    airflow.code_hidden = True
    assert cli("airflow", "create").code == 0


def test_create_shows_why_airflow_cannot_import_the_file(
    cli: Deployment,
    airflow: DeployingAirflow,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: Any) -> None:
        airflow.parses_seen += 1
        airflow.errors["hello_flow.py"] = {
            "import_error_id": 1,
            "timestamp": f"{airflow.parses_seen}",
            "filename": "hello_flow.py",
            "bundle_name": "dags-folder",
            "stack_trace": "ModuleNotFoundError: No module named 'nothing'",
        }

    deployed_before = airflow.folder / "hello_flow.py"
    monkeypatch.setattr(airflow, "parse", lambda: fails() if deployed_before.exists() else None)
    outcome = cli("airflow", "create")
    assert outcome.code == 1
    assert outcome.err.rstrip().endswith("ModuleNotFoundError: No module named 'nothing'")


def test_create_is_not_misled_by_an_error_of_what_was_there_before(
    cli: Deployment,
    airflow: DeployingAirflow,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A parse of the broken file ends after it was repaired; the repaired one is parsed next."""
    assert cli("airflow", "create").code == 0
    broken = "class DeployedFlow(FlowSpec)"
    (airflow.folder / "hello_flow.py").write_text(broken)
    airflow.parse()
    airflow.parses = False
    parse = airflow.parse

    def ends_late() -> None:
        error = airflow.errors["hello_flow.py"]
        airflow.errors["hello_flow.py"] = {**error, "timestamp": "later"}

    timers = [threading.Timer(1.5, ends_late), threading.Timer(3.5, parse)]
    for timer in timers:
        timer.start()
    outcome = cli("airflow", "create", "--overwrite", "--timeout", "20")
    for timer in timers:
        timer.join()
    assert outcome.code == 0, outcome.err


def test_create_reports_all_problems_of_a_flow_before_anything_is_copied(
    cli: Deployment,
    airflow: DeployingAirflow,
) -> None:
    source = cli.flow_file.read_text().replace("self.next(self.end)", "self.next(self.edn)")
    (cli.flow_file.parents[1] / "above.txt").write_text("not in the flow's folder")
    cli.flow_file.write_text(source.replace("words.txt", "../above.txt"))
    outcome = cli("airflow", "create")
    assert outcome.code == 1
    assert outcome.err.count("hello_flow.py:") >= 2
    for part in ("edn", "found '../above.txt' outside of"):
        assert part in outcome.err
    assert not list(airflow.folder.iterdir())


def test_create_without_airflow(cli: Deployment, dags: Path) -> None:
    outcome = cli("airflow", "create")
    assert (outcome.code, "nothing says where it is" in outcome.err) == (2, True)
    outcome = cli("airflow", "create", "--dags-folder", str(dags))
    assert (outcome.code, "found no address" in outcome.err) == (2, True)
    assert not list(dags.iterdir())
    dry = cli("airflow", "create", "--dags-folder", str(dags), "--dry-run")
    assert dry.out.splitlines()[1] == "    would be written beside.py"
    assert not list(dags.iterdir())
    made = cli.json("airflow", "create", "--dags-folder", str(dags), "--no-wait")
    assert (made["written"], made["airflow"]) == (WRITTEN, None)


def test_a_flow_that_is_in_the_folder_already_stays_in_its_place(
    cli: Deployment, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = dags / "team"
    shutil.copytree(cli.flow_file.parent, inner)
    cli.flow_file = inner / "hello_flow.py"
    made = cli.json("airflow", "create", "--dags-folder", str(dags), "--no-wait")
    assert (made["file"], made["written"]) == ("team/hello_flow.py", [])
    assert made["unchanged"] == [f"team/{name}" for name in WRITTEN]
    assert not (dags / ".flowsdk").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--with", "retry", "airflow", "create"), "Put the decorator there"),
        (("airflow", "create", "--name", "Other"), "the DAG of a flow has the flow's name"),
        (("airflow", "creat"), "Did you mean 'create'"),
        (("airflow",), "ACTION"),
        (("airflow", "list-runs", "--limit", "0"), "found '0', expected a whole number above 0"),
        (
            ("airflow", "create", "--timeout", "-1"),
            "found '-1', expected a number of seconds above 0",
        ),
        (("airflow", "status", "--airflow", "localhost:8080"), "expected http://host:port"),
    ],
)
def test_usage_errors(
    cli: Deployment,
    airflow: DeployingAirflow,
    words: tuple[str, ...],
    message: str,
) -> None:
    outcome = cli(*words)
    assert (outcome.code, message in outcome.err) == (2, True), outcome.err


def test_a_dag_of_that_name_in_another_file_is_refused(
    cli: Deployment,
    airflow: DeployingAirflow,
) -> None:
    (airflow.folder / "elsewhere.py").write_text("class DeployedFlow(FlowSpec): ...")
    outcome = cli("airflow", "create")
    assert outcome.code == 1
    assert "has a DAG of this name in elsewhere.py" in outcome.err
    assert [path.name for path in airflow.folder.iterdir()] == ["elsewhere.py"]


# -- runs


def test_trigger(deployed: Deployment, airflow: DeployingAirflow) -> None:
    airflow.params["DeployedFlow"] = dict.fromkeys(("alpha", "wait", "words"))
    outcome = deployed("airflow", "trigger", "--alpha", "3", "--wait", "text", "--run-id", "mine")
    assert (outcome.code, outcome.out) == (0, "Triggered DeployedFlow/mine\n")
    assert airflow.dag_runs[-1]["conf"] == {"alpha": 3, "wait": "text"}
    assert deployed.json("airflow", "trigger")["status"] == "PENDING"
    wrong = deployed("airflow", "trigger", "--alpha", "x", "--words", "nowhere.txt")
    assert wrong.code == 2
    assert "found 'x', expected int" in wrong.err
    assert "nowhere.txt" in wrong.err


@pytest.mark.parametrize(("state", "code"), [("success", 0), ("failed", 1)])
def test_trigger_and_wait(
    deployed: Deployment,
    airflow: DeployingAirflow,
    state: str,
    code: int,
) -> None:
    # Without the parameter that is called like the option.
    source = deployed.flow_file.read_text().replace('wait = Parameter("wait"', 'w = Parameter("w"')
    deployed.flow_file.write_text(source)

    def end() -> None:
        airflow.dag_runs[-1]["state"] = state

    timer = threading.Timer(0.5, end)
    timer.start()
    outcome = deployed("airflow", "trigger", "--wait", "20")
    timer.join()
    assert outcome.code == code
    assert outcome.out.splitlines()[1] == ("Succeeded." if code == 0 else "Failed.")
    late = deployed("airflow", "trigger", "--wait", "0.1")
    assert (late.code, "expected it to end within 0.1 s" in late.err) == (1, True)


def test_list_runs_and_status(deployed: Deployment, airflow: DeployingAirflow) -> None:
    assert deployed("airflow", "list-runs").out == "There is no run yet.\n"
    for number, state in enumerate(["success", "failed", "running"], 1):
        airflow.dag_runs.append(dag_run("DeployedFlow", f"r{number}", state, number))
    lines = deployed("airflow", "list-runs").out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["r3", "RUNNING"],
        ["r2", "FAILED"],
        ["r1", "SUCCEEDED"],
    ]
    assert lines[0].endswith("2026-11-21 09:03:01")
    some = deployed.json("airflow", "list-runs", "--running", "--failed", "--limit", "2")
    assert [run["run_id"] for run in some] == ["r3", "r2"]
    assert "has no such run" in deployed("airflow", "list-runs", "--pending").out
    shown = deployed("airflow", "status", "r2")
    assert shown.out.splitlines()[:2] == ["run id:      r2", "status:      FAILED"]
    facts = deployed.json("airflow", "status")
    assert (facts["status"], facts["last_run"]) == ("ACTIVE", "r3 RUNNING")
    assert "file:      hello_flow.py" in deployed("airflow", "status").out
    missing = deployed("airflow", "status", "r22")
    assert (missing.code, "Did you mean 'r2'" in missing.err) == (1, True)


def test_a_flow_that_is_not_deployed(cli: Deployment, airflow: DeployingAirflow) -> None:
    for action in (["status"], ["list-runs"], ["trigger"]):
        outcome = cli("airflow", *action)
        assert (outcome.code, "is not deployed" in outcome.err) == (1, True)


def test_pause_and_unpause(deployed: Deployment, airflow: DeployingAirflow) -> None:
    assert deployed("airflow", "pause").out == "Flow DeployedFlow is paused.\n"
    assert deployed.json("airflow", "status")["status"] == "PAUSED"
    refused = deployed("airflow", "trigger")
    assert (refused.code, "'airflow unpause'" in refused.err) == (2, True)
    assert deployed.json("airflow", "unpause") == {"flow": "DeployedFlow", "paused": False}
    assert deployed("airflow", "trigger").code == 0


@pytest.mark.parametrize("lets_go", [True, False])
def test_a_flow_whose_file_cannot_be_imported_any_more(
    deployed: Deployment, airflow: DeployingAirflow, lets_go: bool
) -> None:
    airflow.shown["DeployedFlow"]["is_paused"] = True
    airflow.lets_go = lets_go
    (airflow.folder / "hello_flow.py").write_text("class DeployedFlow(FlowSpec)")
    outcome = deployed("airflow", "status")
    assert outcome.code == 1
    assert "expected ':'" in outcome.out + outcome.err
    assert ("status:    BROKEN" in outcome.out) is not lets_go
    assert DeployedFlow("DeployedFlow", AirflowServer(airflow.url)).status == "BROKEN"
    # Deployed again, it is what it was: paused.
    assert deployed.json("airflow", "create", "--overwrite")["paused"] is True


def test_terminate(deployed: Deployment, airflow: DeployingAirflow) -> None:
    airflow.dag_runs.append(dag_run("DeployedFlow", "r1", "running", 1))
    assert deployed("airflow", "terminate", "r1").out == "Terminated DeployedFlow/r1\n"
    assert airflow.dag_runs[0]["state"] == "failed"
    again = deployed.json("airflow", "terminate", "r1")
    assert again == {"run_id": "r1", "terminated": False, "status": "FAILED"}


def test_backfill(deployed: Deployment, airflow: DeployingAirflow) -> None:
    outcome = deployed(
        "airflow", "backfill", "--from-date", "2026-11-01", "--to-date", "2026-11-03",
        "--max-active-runs", "2", "--reprocess", "failed", "--parameter", "alpha=4",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "Backfill 7 has started" in outcome.out
    assert airflow.bodies[-1] == {
        "dag_id": "DeployedFlow",
        # The schedule's time zone, and the whole of the last day.
        "from_date": "2026-11-01T00:00:00+01:00",
        "to_date": "2026-11-03T23:59:59+01:00",
        "max_active_runs": 2,
        "reprocess_behavior": "failed",
        "run_backwards": False,
        "dag_run_conf": {"alpha": 4},
    }
    dry = deployed.json(
        "airflow", "backfill", "--from-date", "2026-11-01T06:00Z", "--to-date", "2026-11-03T07:00",
        "--dry-run",
    )  # fmt: skip
    assert dry == {"dates": ["2026-11-01T06:00:00+00:00"]}
    assert airflow.bodies[-1]["to_date"] == "2026-11-03T07:00:00+01:00"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from-date", "today", "--to-date", "2026-11-01"), "expected a date such as 2026-11-21"),
        (("--from-date", "2026-11-02", "--to-date", "2026-11-01"), "comes after --to-date"),
        (("--from-date", "2026-11-01"), "required: --to-date"),
        (("--from-date", "2026-11-01", "--to-date", "2026-11-01", "--parameter", "alpha"),
         "expected NAME=VALUE"),
        (("--from-date", "2026-11-01", "--to-date", "2026-11-01", "--parameter", "alhpa=1"),
         "Did you mean 'alpha'"),
    ],
)  # fmt: skip
def test_backfills_that_make_no_sense(
    deployed: Deployment, words: tuple[str, ...], message: str
) -> None:
    outcome = deployed("airflow", "backfill", *words)
    assert (outcome.code, message in outcome.err) == (2, True), outcome.err


def test_a_flow_without_schedule_has_no_backfill(deployed: Deployment) -> None:
    source = deployed.flow_file.read_text().replace("@schedule(", "# @schedule(")
    deployed.flow_file.write_text(source)
    outcome = deployed(
        "airflow", "backfill", "--from-date", "2026-11-01", "--to-date", "2026-11-01"
    )
    assert (outcome.code, "found no @schedule" in outcome.err) == (2, True)


# -- delete


def test_delete(deployed: Deployment, airflow: DeployingAirflow) -> None:
    (airflow.folder / "somebody_elses.py").write_text("")
    (airflow.folder / "beside.py").write_text("# changed there")
    airflow.dag_runs.append(dag_run("DeployedFlow", "r1", "running", 1))
    refused = deployed("airflow", "delete")
    assert (refused.code, "runs that have not ended (r1)" in refused.err) == (1, True)
    airflow.dag_runs[0]["state"] = "success"
    outcome = deployed("airflow", "delete")
    assert outcome.code == 0
    assert "    deleted hello_flow.py" in outcome.out
    assert "    kept    beside.py: it has been changed since it was put there" in outcome.out
    left = {path.name for path in airflow.folder.iterdir()}
    assert left == {"somebody_elses.py", "beside.py"}
    assert "DeployedFlow" not in airflow.shown
