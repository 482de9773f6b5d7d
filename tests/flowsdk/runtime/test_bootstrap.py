from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowsdk.artifacts.scope import Scope
from flowsdk.datastore import FlowDatastore
from flowsdk.runtime.bootstrap import main
from flowsdk.spec import TaskSpec
from tests.flowsdk.flows import write_flow

JOB = """
from flowsdk import Config, StepMutator, user_step_decorator

@user_step_decorator
def noted(step_name, flow, inputs, attributes):
    yield
    flow.noted = attributes

class Adds(StepMutator):
    def mutate(self, mutable_step):
        mutable_step.add_decorator(environment, deco_kwargs={"vars": {"ADDED": "x"}})

class Job(FlowSpec):
    settings = Config("settings", default_value={"n": 1})

    @Adds
    @step
    def start(self):
        self.n = self.settings.n
        self.notice = current.spot_termination_notice
        self.decorators = [d["name"] for d in current.graph["steps"]["start"]["decorators"]]
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Job()
"""


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def spec(tmp_path: Path) -> TaskSpec:
    write_flow(tmp_path, JOB)
    return TaskSpec(
        "Job", "r", "start", "0", 0, str(tmp_path / "data"), parameters={}, script="flow.py"
    )


def artifacts(spec: TaskSpec) -> dict[str, Any]:
    store = FlowDatastore.at(spec.root, spec.flow)
    refs = store.read_result(spec.run, spec.ref).artifacts
    scope = Scope(store.storage, store.blobs, refs)
    return {name: scope.load(name) for name in refs}


def test_a_job_sees_what_its_run_was_asked_for_with(spec: TaskSpec, tmp_path: Path) -> None:
    asked = replace(
        spec,
        decorators=('__main__.noted:{"who": "me"}', "retry:times=1"),
        configs={"settings": '{"n": 42}'},
    )
    assert main(asked.to_json(), str(tmp_path)) == 0
    found = artifacts(asked)
    assert found["noted"] == {"who": "me"}
    assert found["n"] == 42
    assert found["decorators"] == ["environment", "__main__.Adds"]


def test_a_job_knows_where_to_look_for_the_end_of_its_host(spec: TaskSpec, tmp_path: Path) -> None:
    assert main(spec.to_json(), str(tmp_path)) == 0
    notice = Path(artifacts(spec)["notice"])
    assert notice.parent == tmp_path
    assert not notice.exists()


@pytest.mark.parametrize("together", [True, False])
def test_a_task_that_was_launched_with_others_leaves_its_own_spec(
    spec: TaskSpec, tmp_path: Path, together: bool
) -> None:
    assert main(spec.to_json(), str(tmp_path), together) == 0
    stored = Path(spec.root, "Job", "runs", "r", "start", "0", "0", "spec.json")
    assert stored.exists() is together


def test_an_attempt_that_has_a_result_is_not_run_again(
    spec: TaskSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(spec.to_json(), str(tmp_path)) == 0
    assert main(spec.to_json(), str(tmp_path)) == 0
    assert "attempt 0 has succeeded already" in capsys.readouterr().err


def test_a_flow_file_that_cannot_be_imported_is_the_tasks_failure(
    spec: TaskSpec, tmp_path: Path
) -> None:
    (tmp_path / "flow.py").write_text("import nothing_of_that_name\n", "utf-8")
    assert main(spec.to_json(), str(tmp_path)) == 1
    error = FlowDatastore.at(spec.root, "Job").read_result("r", spec.ref).error
    assert error
    assert error.type == "builtins.ModuleNotFoundError"
    assert error.message == "No module named 'nothing_of_that_name'"
