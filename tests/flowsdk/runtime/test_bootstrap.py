from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowsdk.artifacts.scope import Scope
from flowsdk.datastore import FlowDatastore
from flowsdk.planning import gang_facts
from flowsdk.runtime import gang
from flowsdk.runtime.bootstrap import main
from flowsdk.runtime.gang import own_address
from flowsdk.spec import ErrorInfo, TaskSpec
from tests.flowsdk.aws_batch.fakes import commit, succeed
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


# -- gangs

GANG = """
import time
from flowsdk import parallel

class Job(FlowSpec):
    @step
    def start(self):
        self.next(self.train, num_parallel=2)

    @parallel
    @step
    def train(self):
        self.place = current.parallel
        time.sleep(self.seconds)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[TaskSpec]]:
    """The specs of the two nodes of a gang, whose step takes so many seconds."""

    def make(seconds: float) -> list[TaskSpec]:
        write_flow(tmp_path, GANG.replace("self.seconds", str(seconds)))
        root = str(tmp_path / "data")
        start = TaskSpec("Job", "r", "start", "0", 0, root, parameters={}, script="flow.py")
        assert main(start.to_json(), str(tmp_path)) == 0
        splits = FlowDatastore.at(root, "Job").read_result("r", start.ref).splits
        assert splits
        monkeypatch.setenv("AWS_BATCH_JOB_NODE_INDEX", "0")
        monkeypatch.setattr(gang, "_LOOK_SECONDS", 0.05)
        frames = [(splits.frame("start", index),) for index in range(2)]
        return [
            replace(
                start,
                step="train",
                task=str(index),
                parents=(start.ref,),
                foreach=foreach,
                facts=gang_facts(foreach),
            )
            for index, foreach in enumerate(frames)
        ]

    return make


def test_the_main_node_of_a_gang_ends_last_and_its_result_is_there_before(
    nodes: Callable[..., list[TaskSpec]], tmp_path: Path
) -> None:
    control, other = nodes(0)
    store = FlowDatastore.at(control.root, "Job")

    def end_other() -> None:
        deadline = time.monotonic() + 60
        while store.find_result("r", control.ref) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        succeed(store, other)

    thread = threading.Thread(target=end_other)
    thread.start()
    assert main(control.to_json(), str(tmp_path)) == 0
    thread.join()
    assert store.find_result("r", other.ref)
    assert artifacts(control)["place"] == (own_address(), 2, 0, "0")


def test_a_gang_of_which_a_node_fails_ends_with_its_main_node(
    nodes: Callable[..., list[TaskSpec]], tmp_path: Path
) -> None:
    control, other = nodes(3600)
    store = FlowDatastore.at(control.root, "Job")
    error = ErrorInfo("user", "builtins.ValueError", "no")
    commit(store, other, status="failed", error=error)
    assert main(control.to_json(), str(tmp_path)) == 1
    ended = store.read_result("r", control.ref).error
    assert ended
    assert ended.kind == "interrupted"
    assert "task train/1 of its gang has failed" in ended.message
