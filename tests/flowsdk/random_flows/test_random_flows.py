"""Random flows do exactly what carrying out their shape in plain Python says."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flowsdk.client import Run
from flowsdk.client.selection import looking_at
from tests.flowsdk.random_flows.command_line import Done, run_command
from tests.flowsdk.random_flows.mutations import MUTATIONS, Mutation
from tests.flowsdk.random_flows.oracle import predict
from tests.flowsdk.random_flows.shape import RandomFlow, all_steps, source_of
from tests.flowsdk.random_flows.strategies import random_flows

STEADY = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),  # flows are large, and few have room for some mutation
)
MAX_TASKS = 60


def observed(root: Path, run: str) -> dict[str, dict[str, Any]]:
    """The artifacts of every task of a run, as the client reads them."""
    with looking_at(f"local@{root}"):
        return {
            f"{step.id}/{task.id}": {artifact.id: artifact.data for artifact in task}
            for step in Run(f"Random/{run}")
            for task in step
        }


def check_run(flow: RandomFlow) -> None:
    expected = predict(flow)
    assume(len(expected) <= MAX_TASKS)
    with tempfile.TemporaryDirectory() as folder:
        done = run_command(Path(folder), source_of(flow), "run", "--run-id-file", f"{folder}/id")
        check_outcome(done, expected)


def check_outcome(done: Done, expected: dict[str, dict[str, Any]]) -> None:
    if done.code:
        pytest.fail(str(done))
    found = observed(done.folder / "store", (done.folder / "id").read_text("utf-8"))
    assert sorted(found) == sorted(expected)
    # By representation: 1, 1.0 and True are equal, and must not be taken for one another.
    for task, artifacts in expected.items():
        assert shown(found[task]) == shown(artifacts), task


def check_resume(flow: RandomFlow, broken: str) -> None:
    """A run that a step has made fail, and the resumed one in which the step does not."""
    expected = predict(flow)
    assume(len(expected) <= MAX_TASKS)
    with tempfile.TemporaryDirectory() as folder:
        flag = Path(folder, "broken")
        steps = all_steps(flow)
        source = steps[broken]
        body = (f"assert not __import__('os').path.exists({str(flag)!r})", *source.step.body)
        steps[broken] = replace(source, step=replace(source.step, body=body))
        flag.touch()
        first = run_command(Path(folder), source_of(flow, steps), "run")
        assert first.code == any(task.split("/")[0] == broken for task in expected)
        flag.unlink()
        options = ("resume", "--run-id-file", f"{folder}/id")
        check_outcome(run_command(Path(folder), source_of(flow, steps), *options), expected)


def shown(artifacts: dict[str, Any]) -> dict[str, str]:
    return {name: repr(value) for name, value in artifacts.items()}


@settings(STEADY, max_examples=60)
@given(random_flows())
def test_runs_have_the_predicted_tasks_and_artifacts(flow: RandomFlow) -> None:
    check_run(flow)


@settings(STEADY, max_examples=25)
@given(random_flows(), st.data())
def test_a_resumed_run_ends_as_if_nothing_had_failed(flow: RandomFlow, data: st.DataObject) -> None:
    check_resume(flow, data.draw(st.sampled_from(sorted(all_steps(flow)))))


@pytest.mark.slow
@pytest.mark.timeout(900)  # thousands of tasks
@settings(STEADY, max_examples=150)
@given(random_flows(elements=14))
def test_larger_runs_too(flow: RandomFlow) -> None:
    check_run(flow)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_an_ill_formed_flow_is_refused_with_its_place(mutation: Mutation, tmp_path: Path) -> None:
    @settings(STEADY, max_examples=25)
    @given(random_flows(), st.data())
    def refused(flow: RandomFlow, data: st.DataObject) -> None:
        steps = all_steps(flow)
        mutation(data.draw, steps)
        source = source_of(flow, steps)
        for command in ("check", "run"):
            check_refusal(run_command(tmp_path, source, command), tmp_path / "flow.py")
        assert not (tmp_path / "store").exists()

    refused()


def check_refusal(done: Done, path: Path) -> None:
    assert done.code == 1, done
    places = re.findall(rf"^ *{re.escape(str(path))}:(\d+): [a-z-]+: \S", done.err, re.MULTILINE)
    assert places, done
    assert all(0 < int(line) <= len(done.source.splitlines()) for line in places), done
    assert "Traceback" not in done.err, done
