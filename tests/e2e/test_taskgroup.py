"""A flow beside ordinary operators in a DAG."""

from __future__ import annotations

import pytest

from tests.e2e.support import Airflow, python

FLOW = """
from flowsdk import FlowSpec, Parameter, current, step


class PartFlow(FlowSpec):
    size = Parameter("size", default=1)
    letter = Parameter("letter", default="a")

    @step
    def start(self):
        self.xs = list(range(self.size))
        self.next(self.each, foreach="xs")

    @step
    def each(self):
        self.word = self.letter * (self.input + 1)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.words = [one.word for one in inputs]
        self.next(self.end)

    @step
    def end(self):
        self.flow, self.path = current.flow_name, current.pathspec
"""
DAG = """
from airflow.sdk import DAG, task
from airflow_flowprovider import FlowTaskGroup
from part_of_a_whole import PartFlow

with DAG("whole", params={"letter": "b"}):

    @task
    def count():
        return 2

    @task
    def end(run_id=None):
        return run_id

    FlowTaskGroup(PartFlow, parameters={"size": count()}) >> end()
"""
READ = """
from flowsdk import Run, namespace
namespace(None)
run = Run("{pathspec}")
print(run.successful, run.data.words, run.data.flow, run.data.path)
"""


@pytest.mark.timeout(600)
def test_a_flow_is_a_part_of_a_dag(airflow: Airflow) -> None:
    (airflow.dags / "part_of_a_whole.py").write_text(FLOW)
    (airflow.dags / "whole.py").write_text(DAG)
    run = airflow.trigger("whole")
    assert airflow.wait("whole", run, 500) == "success", airflow.failures("whole", run)
    found = sorted((t["task_id"], t["map_index"]) for t in airflow.tasks("whole", run))
    assert found == [
        ("PartFlow.each", 0),
        ("PartFlow.each", 1),
        ("PartFlow.end", -1),
        ("PartFlow.join", -1),
        ("PartFlow.start", -1),
        ("count", -1),
        ("end", -1),
    ]
    pathspec = f"whole.PartFlow/{run}"
    expected = f"True ['b', 'bb'] PartFlow {pathspec}/end/0"
    env = {k: v for k, v in airflow.standalone.env.items() if k.startswith(("AWS_", "PATH"))}
    root = {"FLOWSDK_DATASTORE": "s3://flows/flowsdk"}
    assert python(["-c", READ.format(pathspec=pathspec)], {**env, **root}).strip() == expected
