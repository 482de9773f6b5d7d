"""Planning step by step, as Airflow does, comes to the tasks that the laptop's scheduler has run."""

from __future__ import annotations

import importlib.util
import linecache
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings

from flowsdk.datastore import FlowDatastore
from flowsdk.flow import graph_of
from flowsdk.graph import FlowGraph
from flowsdk.planning import iteration_of
from flowsdk.succession import Planned, may_be_skipped, planned_tasks
from flowsdk.taskset import Outcome
from tests.flowsdk.random_flows.command_line import run_command
from tests.flowsdk.random_flows.oracle import predict
from tests.flowsdk.random_flows.shape import RandomFlow, source_of
from tests.flowsdk.random_flows.strategies import random_flows
from tests.flowsdk.random_flows.test_random_flows import MAX_TASKS, STEADY


def graph_at(file: Path) -> FlowGraph:
    spec = importlib.util.spec_from_file_location("random_flow_under_test", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    linecache.checkcache(str(file))
    spec.loader.exec_module(module)
    return graph_of(module.Random)


def check_plan(flow: RandomFlow) -> None:
    assume(len(predict(flow)) <= MAX_TASKS)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "store")
        done = run_command(Path(folder), source_of(flow), "run", "--run-id-file", f"{folder}/id")
        if done.code:
            pytest.fail(str(done))
        graph = graph_at(next(Path(folder).glob("*.py")))
        store = FlowDatastore.at(str(root), "Random")
        run = Path(folder, "id").read_text("utf-8")
        ran = {
            step: [ref for refs in tasks.values() for ref in refs]
            for step, tasks in store.attempts(run).items()
        }
        results = {step: store.read_results(run, refs) for step, refs in ran.items()}
        outcomes = {
            step: [
                Outcome.of(result)
                for result in found
                if result.succeeded and step not in result.next
            ]
            for step, found in results.items()
        }
        for node in graph:
            specs = [store.read_spec(run, ref) for ref in ran.get(node.name, ())]
            first = [spec for spec in specs if not iteration_of(spec.task)]
            expected = {Planned(spec.parents, spec.foreach) for spec in first}
            planned = planned_tasks(graph, node, outcomes)
            assert set(planned) == expected, node.name
            assert len(planned) == len(expected)
            assert expected or may_be_skipped(graph, node), node.name


@settings(STEADY, max_examples=40)
@given(random_flows())
def test_the_plan_of_every_step_is_what_has_run(flow: RandomFlow) -> None:
    check_plan(flow)


@pytest.mark.slow
@pytest.mark.timeout(900)  # thousands of tasks
@settings(STEADY, max_examples=150)
@given(random_flows(elements=14))
def test_so_it_is_for_larger_flows(flow: RandomFlow) -> None:
    check_plan(flow)
