"""A flow is deployed to a real Airflow, run there, and taken out again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowsdk import DeployedFlow, Deployer
from flowsdk.exception import CommandFailed
from tests.e2e.support import ROOT, Airflow, until

FLOW = '''
import sys
import time

from deployed_helper import FACTOR
from flowsdk import FlowSpec, IncludeFile, Parameter, resources, schedule, step

VERSION = 1


@schedule(cron="0 6 * * *", timezone="Europe/Berlin")
class DeployedLaterFlow(FlowSpec):
    """Is not there when Airflow starts."""

    alpha = Parameter("alpha", default=1)
    seconds = Parameter("how-long", default=0)
    words = IncludeFile("words", default="deployed_words.txt")

    @resources(memory=512)
    @step
    def start(self):
        print("waiting", self.seconds, flush=True)
        time.sleep(self.seconds)
        self.next(self.end)

    @resources(memory=512)
    @step
    def end(self):
        self.result = [FACTOR * self.alpha, self.words, VERSION]


if __name__ == "__main__":
    DeployedLaterFlow()
'''


@pytest.fixture
def project(airflow: Airflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A flow file with what it needs, and an environment that knows Airflow and its AWS."""
    (tmp_path / "deployed_later.py").write_text(FLOW)
    (tmp_path / "deployed_helper.py").write_text("FACTOR = 10\n")
    (tmp_path / "deployed_words.txt").write_text("one two")
    standalone = airflow.standalone
    for name, value in standalone.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLOWSDK_AIRFLOW_URL", standalone.api_url)
    monkeypatch.setenv("FLOWSDK_AIRFLOW_USERNAME", standalone.username)
    monkeypatch.setenv("FLOWSDK_AIRFLOW_PASSWORD", standalone.password)
    monkeypatch.setenv("FLOWSDK_DAGS_FOLDER", str(airflow.dags))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield tmp_path / "deployed_later.py"
    for name in ("deployed_later.py", "deployed_helper.py", "deployed_words.txt"):
        (airflow.dags / name).unlink(missing_ok=True)


def command(flow_file: Path, *words: str) -> Any:
    """What ``python flow.py airflow … --json`` prints."""
    done = subprocess.run(
        [sys.executable, str(flow_file), "airflow", *words, "--json"],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(900)
def test_a_flow_is_deployed_run_and_deleted(airflow: Airflow, project: Path) -> None:
    deployer = Deployer(project, show_output=False)
    deployed = deployer.airflow().create(timeout=120)
    assert (deployed.name, deployed.status) == ("DeployedLaterFlow", "ACTIVE")
    assert (airflow.dags / "deployed_helper.py").read_text() == "FACTOR = 10\n"

    # Run, and read what it has left.
    run = deployed.trigger(alpha=3)
    assert run.wait_for_completion(timeout=240) == "SUCCEEDED"
    assert run.run is not None
    assert run.run.data.result == [30, "one two", 1]
    assert run.run_id in [each.run_id for each in deployed.list_runs(["SUCCEEDED"])]
    assert command(project, "status", run.run_id)["parameters"] == {"alpha": 3}

    # Deploying again: nothing to do, or the new text is what runs.
    assert command(project, "create")["written"] == []
    project.write_text(FLOW.replace("VERSION = 1", "VERSION = 2"))
    assert command(project, "create", "--timeout", "120")["written"] == ["deployed_later.py"]

    # End a run: its job ends with it.
    slow = deployed.trigger(how_long=600)
    slow.wait_for_run(timeout=60)
    until("its job runs", lambda: "waiting 600" in airflow.log(deployed.name, slow.run_id, "start"))
    assert slow.terminate()
    assert slow.wait_for_completion(timeout=30) == "FAILED"

    def active() -> list[str]:
        states = {job["status"] for job in airflow.jobs(f"{deployed.name}_start")}
        return sorted(states - {"SUCCEEDED", "FAILED"})

    until("its job has ended", lambda: not active())

    # What the schedule would have run on two days.
    days = ("--from-date", "2026-03-10", "--to-date", "2026-03-11")
    dates = command(project, "backfill", *days, "--dry-run")["dates"]
    assert [date[:16] for date in dates] == ["2026-03-10T05:00", "2026-03-11T05:00"]
    assert command(project, "backfill", *days, "--parameter", "alpha=7")["id"]

    def backfilled() -> list[dict[str, Any]]:
        runs = command(project, "list-runs", "--limit", "50")
        return [each for each in runs if each["type"] == "backfill"]

    runs = until(
        "both have ended",
        lambda: (
            (found := backfilled())
            and {each["status"] for each in found} <= {"SUCCEEDED", "FAILED"}
            and found
        ),
        seconds=240,
        every=2,
    )
    assert sorted(each["logical_date"][:10] for each in runs) == ["2026-03-10", "2026-03-11"]
    assert {each["status"] for each in runs} == {"SUCCEEDED"}
    again = DeployedFlow.get_triggered_run(deployed.name, runs[0]["run_id"]).run
    assert again is not None
    assert again.data.result == [70, "one two", 2]

    # Airflow may have started the last run of the schedule when it got to know the flow.
    for unfinished in deployed.list_runs(["PENDING", "RUNNING"]):
        assert unfinished.wait_for_completion(timeout=120) == "SUCCEEDED", unfinished

    deployed.delete()
    assert deployed.name not in airflow.dag_ids()
    assert not (airflow.dags / "deployed_helper.py").exists()
    assert not (airflow.dags / ".flowsdk" / "DeployedLaterFlow.json").exists()
    deployer.cleanup()


def test_what_airflow_cannot_import_is_shown(airflow: Airflow, project: Path) -> None:
    project.write_text(FLOW.replace("VERSION = 1", 'VERSION = 1 / ("airflow" not in sys.modules)'))
    with (
        Deployer(project, show_output=False) as deployer,
        pytest.raises(
            CommandFailed,
            match=r"Airflow cannot import .*deployed_later\.py:(.|\n)*ZeroDivisionError",
        ),
    ):
        deployer.airflow().create(timeout=120)
    # What was put there can be taken out, though Airflow never had it as a flow.
    assert set(command(project, "delete")["deleted"]) == {
        "deployed_later.py",
        "deployed_helper.py",
        "deployed_words.txt",
    }
