"""Runs as Airflow's users have them: resumed, backfilled, started by others, and on two branches."""

from __future__ import annotations

import json
import textwrap
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.support import Airflow, until

RESUMED = """
    from flowsdk import FlowSpec, Parameter, current, step

    BROKEN = True


    class ResumedFlow(FlowSpec):
        factor = Parameter("factor", default=2)

        @step
        def start(self):
            self.numbers = [1, 2, 3]
            self.next(self.scale, foreach="numbers")

        @step
        def scale(self):
            self.scaled = self.input * self.factor
            self.next(self.total)

        @step
        def total(self, inputs):
            if BROKEN:
                raise ValueError("not written yet")
            self.sum = sum(one.scaled for one in inputs)
            self.next(self.end)

        @step
        def end(self):
            self.told = [self.sum, current.origin_run_id]


    if __name__ == "__main__":
        ResumedFlow()
"""
DAILY = """
    from flowsdk import FlowSpec, current, schedule, step


    @schedule(daily=True, start_date="2026-03-01", end_date="2026-03-31", data_interval=True)
    class DailyFlow(FlowSpec):
        @step
        def start(self):
            self.seen = [
                current.logical_date, current.data_interval_start, current.data_interval_end
            ]
"""
BRANCH = """
    from flowsdk import FlowSpec, current, project, step


    @project(name="branches", branch="{branch}")
    class SideFlow(FlowSpec):
        @step
        def start(self):
            self.seen = [current.branch_name, current.pathspec]
"""
TRIGGERED = """
    from flowsdk import FlowSpec, current, step, trigger_on_finish


    class LeftFlow(FlowSpec):
        @step
        def start(self):
            self.value = 1


    class RightFlow(FlowSpec):
        @step
        def start(self):
            self.value = 20


    @trigger_on_finish(flow="LeftFlow")
    class FollowFlow(FlowSpec):
        @step
        def start(self):
            self.found = [current.trigger.run.pathspec, current.trigger.run.data.value]


    @trigger_on_finish(flows=["LeftFlow", "RightFlow"])
    class BothFlow(FlowSpec):
        @step
        def start(self):
            self.found = [
                current.trigger.type, sum(run.data.value for run in current.trigger.runs),
                current.trigger["RightFlow"].pathspec
            ]
"""


def deploy(airflow: Airflow, name: str, text: str, *dags: str) -> None:
    """Let a flow file be known to Airflow, and its DAGs run."""
    (airflow.dags / name).write_text(textwrap.dedent(text).lstrip("\n"))
    until(f"{dags} are parsed", lambda: set(dags) <= airflow.dag_ids(), 240)
    for dag in dags:
        airflow.call("PATCH", f"/dags/{dag}", {"is_paused": False})


def artifact(airflow: Airflow, task: str, name: str) -> Any:
    """The value of an artifact, read as a data scientist does."""
    script = (
        "import json\nfrom flowsdk import Task, namespace\nnamespace(None)\n"
        f"print(json.dumps(Task({task!r})[{name!r}].data))"
    )
    return json.loads(airflow.read_with_client(script))


def only_run(airflow: Airflow, dag: str) -> str:
    """The id of the run of a DAG that somebody else has started; it must succeed."""

    def find() -> str | None:
        runs = airflow.call("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
        return str(runs[0]["dag_run_id"]) if runs else None

    run = str(until(f"a run of {dag}", find, 240))
    assert airflow.wait(dag, run) == "success", airflow.failures(dag, run)
    return run


@pytest.mark.timeout(900)
def test_a_run_goes_on_where_an_earlier_one_has_failed(airflow: Airflow) -> None:
    dag = "ResumedFlow"
    deploy(airflow, "resumed.py", RESUMED, dag)
    failed = airflow.trigger(dag, {"factor": 5})
    assert airflow.wait(dag, failed) == "failed"
    before = {job["jobId"] for job in airflow.jobs(f"{dag}_")}

    # From this run: with the code as it is now, and only what has not succeeded.
    fixed = textwrap.dedent(RESUMED).replace("BROKEN = True", "BROKEN = False")
    (airflow.dags / "resumed.py").write_text(fixed)
    run = airflow.trigger(dag, {"resume": failed})
    assert airflow.wait(dag, run) == "success", airflow.failures(dag, run)
    assert artifact(airflow, f"{dag}/{run}/end/0", "told") == [30, failed]
    new = [job["jobName"] for job in airflow.jobs(f"{dag}_") if job["jobId"] not in before]
    assert sorted(name.split("_")[1] for name in new) == ["end", "total"]
    tasks = {(task["task_id"], task["map_index"]): task for task in airflow.tasks(dag, run)}
    assert {task["state"] for task in tasks.values()} == {"success"}
    assert f"Results of run {failed} that are used again: 1" in airflow.log(
        dag, run, "scale", index=2
    )

    # From a step on, and then from a run of a laptop.
    again = airflow.trigger(dag, {"resume": {"run": run, "step": "end"}})
    assert airflow.wait(dag, again) == "success", airflow.failures(dag, again)
    assert artifact(airflow, f"{dag}/{again}/end/0", "told") == [30, run]
    root = "s3://flows/flowsdk"
    airflow.run_locally("resumed.py", "--factor", "7", root=root)
    laptops = airflow.read_with_client(
        f"from flowsdk import Flow, namespace\nnamespace(None)\n"
        f"print([r.id for r in Flow('{dag}').runs() if '__' not in r.id][0])",
        FLOWSDK_METADATA=root,
    ).strip()
    from_laptop = airflow.trigger(dag, {"resume": {"run": laptops, "step": "total"}})
    assert airflow.wait(dag, from_laptop) == "success", airflow.failures(dag, from_laptop)
    assert artifact(airflow, f"{dag}/{from_laptop}/end/0", "told") == [42, laptops]

    # What cannot be resumed fails at once, and says why.
    wrong = airflow.trigger(dag, {"resume": f"{run}x"})
    assert airflow.wait(dag, wrong) == "failed"
    assert airflow.task(dag, wrong, "start")["try_number"] == 1
    path = f"/dags/{dag}/dagRuns/{quote(wrong)}/taskInstances/start/logs/1?full_content=true"
    told = json.dumps(airflow.call("GET", path))
    assert f"flow {dag} has no run '{run}x'. Did you mean '{run}'" in told


@pytest.mark.timeout(600)
def test_every_run_of_a_backfill_has_its_own_dates(airflow: Airflow) -> None:
    dag = "DailyFlow"
    deploy(airflow, "daily.py", DAILY, dag)
    days = ("--from-date", "2026-03-02", "--to-date", "2026-03-04")
    airflow.cli("backfill", "create", "--dag-id", dag, *days, "--max-active-runs", "3")

    def ended() -> list[dict[str, Any]] | None:
        runs = airflow.call("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
        done = [run for run in runs if run["state"] in ("success", "failed")]
        return done if len(done) == 3 else None

    runs = until("three runs have ended", ended, 400, every=2)
    assert {(run["run_type"], run["state"]) for run in runs} == {("backfill", "success")}
    seen = [artifact(airflow, f"{dag}/{run['dag_run_id']}/start/0", "seen") for run in runs]
    assert sorted(seen) == [
        [f"2026-03-0{day}T00:00:00+00:00"] * 2 + [f"2026-03-0{day + 1}T00:00:00+00:00"]
        for day in (2, 3, 4)
    ]


@pytest.mark.timeout(600)
def test_two_branches_run_in_the_same_minute(airflow: Airflow) -> None:
    dags = [f"branches.test.{branch}.SideFlow" for branch in ("one", "two")]
    for branch, dag in zip(("one", "two"), dags, strict=True):
        deploy(airflow, f"side_{branch}.py", BRANCH.format(branch=branch), dag)
    run = "nightly-2026-11-21"  # Airflow keeps the form of scheduled ids for itself
    for dag in dags:
        body = {"logical_date": None, "dag_run_id": run}
        airflow.call("POST", f"/dags/{dag}/dagRuns", body)
    for branch, dag in zip(("one", "two"), dags, strict=True):
        assert airflow.wait(dag, run) == "success", airflow.failures(dag, run)
        path = f"{dag}/{run}/start/0"
        assert artifact(airflow, path, "seen") == [f"test.{branch}", path]


@pytest.mark.timeout(600)
def test_flows_follow_others_and_read_what_they_have_left(airflow: Airflow) -> None:
    flows = ["LeftFlow", "RightFlow", "FollowFlow", "BothFlow"]
    deploy(airflow, "triggered.py", TRIGGERED, *flows)
    left, right = airflow.trigger("LeftFlow"), airflow.trigger("RightFlow")
    assert airflow.wait("LeftFlow", left) == airflow.wait("RightFlow", right) == "success"

    follow = only_run(airflow, "FollowFlow")
    found = artifact(airflow, f"FollowFlow/{follow}/start/0", "found")
    assert found == [f"LeftFlow/{left}", 1]
    both = only_run(airflow, "BothFlow")
    found = artifact(airflow, f"BothFlow/{both}/start/0", "found")
    assert found == ["many-runs", 21, f"RightFlow/{right}"]
    events = airflow.call("GET", "/assets/events?source_dag_id=LeftFlow")["asset_events"]
    assert [event["extra"]["pathspec"] for event in events] == [f"LeftFlow/{left}"]
