from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowsdk import Flow, FlowSpec, Parameter, current, parallel, pytorch_parallel, retry, step
from flowsdk.client.selection import looking_at
from flowsdk.current_task import Current
from flowsdk.graph_info import graph_info
from flowsdk.spec import TaskSpec
from tests.flowsdk.running import run

SPEC = TaskSpec(
    "F", "r1", "train", "2", 0, "/data", user="ann", namespace="user:ann", tags=("a", "b"),
    retry_count=3, facts={"dag_id": "F", "step_name": "never this"},
)  # fmt: skip

ALWAYS = {
    "flow_name": "F",
    "run_id": "r1",
    "step_name": "train",
    "task_id": "2",
    "retry_count": 3,
    "origin_run_id": None,
    "pathspec": "F/r1/train/2",
    "namespace": "user:ann",
    "username": "ann",
    "tags": {"a", "b"},
    "parameter_names": ["alpha"],
    "tempdir": "/tmp/x",
    "trigger": None,
    "data_interval_start": None,
    "run_after": None,
}


@pytest.fixture
def running() -> Current:
    fresh = Current()
    fresh._begin(SPEC, ["alpha"], "/tmp/x", Facts)
    return fresh


class Facts(FlowSpec):
    """What a step can ask."""

    alpha = Parameter("alpha", default=1)
    LIMIT = 3

    @step
    def start(self) -> None:
        self.run_seen = (current.run.pathspec, current.run.finished)
        self.task_seen = current.task.pathspec
        self.pathspec = current.pathspec
        self.parameters = current.parameter_names
        Path(current.tempdir, "scratch").write_text("x")
        self.tempdir = current.tempdir
        self.same_store = Flow("Facts")[current.run_id].id
        self.structure = current.graph["graph_structure"]
        self.next(self.end)

    @step
    def end(self) -> None:
        self.before = current.run["start"].task.data.pathspec


class Own(FlowSpec):
    @step
    def start(self) -> None:
        self.seen = (current.run.pathspec, current.task.pathspec)
        self.told = (f"Own/{current.run_id}", current.pathspec)
        self.next(self.end)

    @step
    def end(self) -> None: ...


@pytest.mark.parametrize(("name", "value"), ALWAYS.items())
def test_what_a_task_always_knows(running: Current, name: str, value: Any) -> None:
    assert getattr(running, name) == value
    assert running.get(name) == value
    assert name in running


def test_the_launchers_facts_are_there_too_and_hide_nothing(running: Current) -> None:
    assert running.dag_id == "F"
    assert running.step_name == "train"


def test_a_decorator_can_add_facts_also_ones_that_are_made_when_asked_for(running: Current) -> None:
    made: list[int] = []
    running._add(project_name="p")
    running._add_lazily(card=lambda: made.append(1) or "card")  # type: ignore[func-returns-value]
    assert running.project_name == "p"
    assert "card" in running
    assert not made
    assert running.card == running.get("card") == "card"
    assert made == [1]


def test_what_is_not_there_is_an_attribute_error_that_names_what_is(running: Current) -> None:
    with pytest.raises(AttributeError, match="current.card is not available: known here: .*run_id"):
        running.card  # noqa: B018
    assert running.get("card") is None
    assert running.get("card", 7) == 7
    assert "card" not in running
    assert not hasattr(running, "is_parallel")


def test_outside_a_task_there_is_nothing(running: Current) -> None:
    assert running.is_running_flow
    assert running._root == "/data"
    running._end()
    assert not running.is_running_flow
    assert running._root is None
    assert "run" not in running
    with pytest.raises(AttributeError, match="no task is running"):
        running.run_id  # noqa: B018


def test_run_and_task_are_client_objects_of_the_runs_own_datastore(tmp_path: Path) -> None:
    ran = run(Facts, tmp_path)
    assert ran.succeeded, ran.output
    run_id = ran.results["end/0"].run
    assert ran.value("end/0", "run_seen") == (f"Facts/{run_id}", False)
    assert (
        ran.value("end/0", "task_seen")
        == ran.value("end/0", "pathspec")
        == f"Facts/{run_id}/start/0"
    )
    assert ran.value("end/0", "same_store") == run_id
    assert ran.value("end/0", "before") == ran.value("end/0", "pathspec")
    assert ran.value("end/0", "parameters") == ["alpha"]


def test_a_step_finds_its_own_run_wherever_the_flow_file_looks_for_others(tmp_path: Path) -> None:
    with looking_at(f"local@{tmp_path / 'elsewhere'}"):
        ran = run(Own, tmp_path / "here")
    assert ran.succeeded, ran.output
    assert ran.value("end/0", "seen") == ran.value("end/0", "told")


def test_the_temporary_folder_is_gone_after_the_task(tmp_path: Path) -> None:
    ran = run(Facts, tmp_path)
    assert not Path(ran.value("end/0", "tempdir")).exists()


class Shapes(FlowSpec):
    """All of them."""

    alpha = Parameter("alpha", type=int, default=1)
    LIMIT = 3

    @step
    def start(self) -> None:
        self.next(self.a, self.b)

    @retry(times=1)
    @step
    def a(self) -> None:
        self.xs = [1]
        self.next(self.body, foreach="xs")

    @step
    def body(self) -> None:
        self.next(self.gather)

    @step
    def gather(self, inputs: Any) -> None:
        self.next(self.merge)

    @step
    def b(self) -> None:
        self.next({"x": self.left, "y": self.right}, condition="which")

    @step
    def left(self) -> None:
        self.next(self.more)

    @step
    def more(self) -> None:
        self.next(self.after)

    @step
    def right(self) -> None:
        self.next(self.after)

    @step
    def after(self) -> None:
        self.next(self.merge)

    @step
    def merge(self, inputs: Any) -> None:
        self.next(self.loop)

    @step
    def loop(self) -> None:
        self.next({True: self.loop, False: self.launch}, condition="again")

    @step
    def launch(self) -> None:
        self.next(self.node, num_parallel=2)

    @parallel
    @step
    def node(self) -> None:
        self.next(self.collect)

    @step
    def collect(self, inputs: Any) -> None:
        self.next(self.end)

    @step
    def end(self) -> None: ...


def test_the_graph_is_plain_data() -> None:
    info = graph_info(Shapes)
    assert info["file"] == Path(__file__).name
    assert info["doc"] == "All of them."
    assert info["parameters"] == [{"name": "alpha", "type": "int"}]
    assert info["constants"] == [{"name": "LIMIT", "type": "int"}]
    assert {name: s["type"] for name, s in info["steps"].items()} == {
        "start": "split-static",
        "a": "split-foreach",
        "body": "linear",
        "gather": "join",
        "b": "split-switch",
        "left": "linear",
        "more": "linear",
        "right": "linear",
        "after": "linear",
        "merge": "join",
        "loop": "split-switch",
        "launch": "split-parallel",
        "node": "linear",
        "collect": "join",
        "end": "end",
    }
    assert info["steps"]["a"]["foreach_artifact"] == "xs"
    assert info["steps"]["a"]["matching_join"] == "gather"
    assert info["steps"]["a"]["decorators"] == [
        {"name": "retry", "attributes": {"times": 1, "minutes_between_retries": 2, "on_oom": None}}
    ]
    assert info["steps"]["b"]["switch_cases"] == {"x": "left", "y": "right"}
    assert info["steps"]["b"]["condition"] == "which"


def test_its_structure_nests_branches_in_lists() -> None:
    assert graph_info(Shapes)["graph_structure"] == [
        "start",
        [["a", [["body"]], "gather"], ["b", [["left", "more"], ["right"]], "after"]],
        "merge",
        "loop",
        "launch",
        [["node"]],
        "collect",
        "end",
    ]


class Gang(FlowSpec):
    @step
    def start(self) -> None:
        self.next(self.train, num_parallel=3)

    @pytorch_parallel(master_port=2345)
    @step
    def train(self) -> None:
        import os

        self.place = current.parallel
        self.flag = current.is_parallel
        self.variables = {
            key: value
            for key, value in os.environ.items()
            if key.startswith(("MF_", "MASTER", "WORLD", "NODE_RANK", "RANK"))
        }
        self.next(self.gather)

    @step
    def gather(self, inputs: Any) -> None:
        self.places = [tuple(i.place) for i in inputs]
        self.variables = inputs[1].variables
        self.flags = {i.flag for i in inputs}
        self.after = "parallel" in current
        self.next(self.end)

    @step
    def end(self) -> None: ...


def test_the_nodes_of_a_gang_know_each_other(tmp_path: Path) -> None:
    ran = run(Gang, tmp_path)
    assert ran.succeeded, ran.output
    assert ran.value("end/0", "places") == [("127.0.0.1", 3, i, "0") for i in range(3)]
    assert ran.value("end/0", "flags") == {True}
    assert ran.value("end/0", "after") is False
    assert ran.value("train/2", "place").num_nodes == 3
    assert ran.value("end/0", "variables") == {
        "MF_PARALLEL_MAIN_IP": "127.0.0.1",
        "MF_PARALLEL_NUM_NODES": "3",
        "MF_PARALLEL_NODE_INDEX": "1",
        "MF_PARALLEL_CONTROL_TASK_ID": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "2345",
        "WORLD_SIZE": "3",
        "NODE_RANK": "1",
        "RANK": "1",
    }
