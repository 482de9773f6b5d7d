"""Configs, files, secrets, projects and events, from a DAG file to what a step sees."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from tests.e2e.support import Airflow, until

FLOWS = """
    import os

    from flowsdk import Config, FlowSpec, IncludeFile, Parameter, config_expr, current
    from flowsdk import project, secrets, step, trigger, trigger_on_finish


    @project(name=config_expr("cfg.project"))
    class GivenFlow(FlowSpec):
        config = Config("cfg", default="given.json")
        words = IncludeFile("words", default="given.txt", parser="json.loads")
        depth = Parameter("depth", default=config.model.depth)

        @secrets(sources=["team/db"])
        @step
        def start(self):
            print("password", os.environ["password"])
            self.seen = [self.config.to_dict(), self.words, self.depth, len(os.environ["password"])]
            self.next(self.end)

        @step
        def end(self):
            self.ended = [self.words, current.project_flow_name, current.trigger is None]


    @trigger_on_finish(flow="GivenFlow")
    @project(name="given")
    class AfterFlow(FlowSpec):
        @step
        def start(self):
            self.after = [current.trigger.type, current.trigger.run.pathspec]


    @trigger(event={"name": "measured", "parameters": {"value": "reading"}})
    class ListeningFlow(FlowSpec):
        value = Parameter("value", type=int, required=True)

        @step
        def start(self):
            self.heard = [self.value, current.trigger.event.name]
"""
CONFIG = {"project": "given", "model": {"depth": 3}}


def artifact(airflow: Airflow, flow: str, run: str, step: str, name: str) -> Any:
    """The value of an artifact, read from the datastore, whatever the DAG is called."""
    found = airflow.read_with_client(
        "import json\n"
        "from flowsdk import Task, namespace\n"
        "namespace(None)\n"
        f"print(json.dumps(Task('{flow}/{run}/{step}/0')['{name}'].data))",
        FLOWSDK_METADATA="s3://flows/flowsdk",
    )
    return json.loads(found)


def only_run(airflow: Airflow, dag: str) -> str:
    def find() -> str | None:
        runs = airflow.call("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
        return str(runs[0]["dag_run_id"]) if runs else None

    return str(until(f"a run of {dag}", find, 240))


def test_values_reach_the_steps_and_events_the_flows(airflow: Airflow) -> None:
    airflow.client("secretsmanager").create_secret(
        Name="team/db", SecretString=json.dumps({"password": "correct-horse-battery"})
    )
    (airflow.dags / "given.json").write_text(json.dumps(CONFIG))
    (airflow.dags / "given.txt").write_text('["a", "b"]')
    (airflow.dags / "given.py").write_text(textwrap.dedent(FLOWS))
    after, listening = "given.prod.AfterFlow", "ListeningFlow"
    until("the flows are parsed", lambda: {after, listening} <= airflow.dag_ids(), 240)
    for dag in (after, listening):
        airflow.call("PATCH", f"/dags/{dag}", {"is_paused": False})

    dag = "given.prod.GivenFlow"
    run = airflow.trigger(dag, {"depth": 5})
    assets = airflow.call("GET", "/assets?name_pattern=measured")["assets"]
    (measured,) = (asset for asset in assets if asset["name"] == "measured")
    event = {"asset_id": measured["id"], "extra": {"reading": "7"}}
    airflow.call("POST", "/assets/events", event)

    assert airflow.wait(dag, run) == "success"
    words = ["a", "b"]
    assert artifact(airflow, dag, run, "start", "seen") == [CONFIG, words, 5, 21]
    assert artifact(airflow, dag, run, "end", "ended") == [words, dag, True]
    log = "\n".join(airflow.log(dag, run, "start"))
    assert "password ***" in log
    assert "correct-horse-battery" not in log

    follower = only_run(airflow, after)
    assert airflow.wait(after, follower) == "success"
    found = artifact(airflow, after, follower, "start", "after")
    assert found == ["run", f"{dag}/{run}"]

    heard = only_run(airflow, listening)
    assert airflow.wait(listening, heard) == "success"
    assert artifact(airflow, listening, heard, "start", "heard") == [7, "measured"]
