"""What ``self`` is in a step, apart from running it (see local/test_run.py for that)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowsdk import FlowSpec, Parameter, step
from flowsdk import flow as flow_module
from flowsdk.artifacts.scope import Scope
from flowsdk.artifacts.serializer import serialize
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import (
    FlowException,
    InvalidNextException,
    MissingInMergeArtifactsException,
    ReservedAttributeError,
    UnhandledInMergeArtifactsException,
    UnpicklableArtifact,
)
from flowsdk.flow import FlowTask, constants_of
from flowsdk.runtime.inputs import Inputs
from flowsdk.spec import TaskResult


class Flow(FlowSpec):
    alpha = Parameter("alpha", default=1)
    CONSTANT = [1, 2]
    _private = 3

    @property
    def computed(self) -> int:
        return 5

    def helper(self) -> int:
        return self.x + 1

    @step
    def start(self):
        self.next(self.a, self.b)

    @step
    def a(self):
        self.next(self.join)

    @step
    def b(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self): ...


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    return FlowDatastore.at(str(tmp_path), "Flow")


def flow_in(store: FlowDatastore, step_name: str, **artifacts: Any) -> Flow:
    """The flow object of a task that inherits ``artifacts``."""
    refs = Scope(store.storage, store.blobs, {}).changed(artifacts, {}, "start/0/0", {})
    flow = Flow(use_cli=False)
    flow._begin(FlowTask(step_name, Scope(store.storage, store.blobs, refs)))
    return flow


def inputs_of(store: FlowDatastore, **branches: dict[str, Any]) -> Inputs:
    results = []
    for name, artifacts in branches.items():
        origin = f"{name}/0/0"
        refs = Scope(store.storage, store.blobs, {}).changed(artifacts, {}, origin, {})
        results.append(TaskResult("Flow", "r", name, "0", 0, "succeeded", "", "", artifacts=refs))
    return Inputs(Flow, store, results)


def test_artifacts_load_when_touched(store: FlowDatastore) -> None:
    flow = flow_in(store, "a", x=41, unused="u")
    assert flow.helper() == 42
    assert flow._values() == {"x": 41}


def test_a_missing_artifact_names_near_misses(store: FlowDatastore) -> None:
    flow = flow_in(store, "a", accuracy=1)
    flow.model = 2
    with pytest.raises(AttributeError, match="no artifact 'acuracy' in step 'a'. Did you mean"):
        _ = flow.acuracy
    with pytest.raises(AttributeError, match="Did you mean 'model'"):
        _ = flow.modell
    assert not hasattr(flow, "other")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("alpha", "it is a Parameter"),
        ("CONSTANT", "it is a constant of class Flow"),
        ("computed", "name of a method or property of Flow"),
        ("helper", "name of a method or property of Flow"),
        ("a", "it is the name of a step"),
        ("input", "FlowSpec uses that name itself"),
        ("name", "FlowSpec uses that name itself"),
        ("merge_artifacts", "FlowSpec uses that name itself"),
        ("__lost", "two underscores are not stored"),
    ],
)
def test_what_would_be_lost_is_refused_at_the_assignment(
    store: FlowDatastore, name: str, reason: str
) -> None:
    flow = flow_in(store, "a")
    with pytest.raises(ReservedAttributeError, match=reason) as caught:
        setattr(flow, name, 1)
    assert f"{__file__}:" in str(caught.value)


def test_a_name_is_looked_up_once_in_a_task_unless_it_is_refused(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = flow_in(store, "a")
    asked: list[str] = []
    original = flow_module._why_reserved
    monkeypatch.setattr(
        flow_module, "_why_reserved", lambda kind, name: asked.append(name) or original(kind, name)
    )
    for number in range(3):
        flow.n = number
        with pytest.raises(ReservedAttributeError):
            flow.next = number
    assert asked == ["n", "next", "next", "next"]


def test_flows_cannot_be_artifacts(store: FlowDatastore) -> None:
    flow, inputs = flow_in(store, "join"), inputs_of(store, a={}, b={})
    for value in (flow, inputs, inputs.a):
        with pytest.raises(ReservedAttributeError, match="flows cannot be stored"):
            flow.x = value


@pytest.mark.parametrize("hide", [lambda f: [f], lambda f: {"k": f}, lambda f: lambda: f.x])
def test_flows_inside_values_are_refused_when_these_are_stored(hide: Any) -> None:
    with pytest.raises(UnpicklableArtifact, match=r"self\.x.*Flow \(flows cannot be stored"):
        serialize(hide(Flow(use_cli=False)), "x")


def test_a_class_of_ones_own_may_be_called_as_one_of_ours(store: FlowDatastore) -> None:
    flow, own = flow_in(store, "a"), type("Inputs", (), {})()
    flow.x = own
    assert flow.x is own


@pytest.mark.parametrize("name", ["alpha", "CONSTANT"])
def test_what_is_read_only_cannot_be_deleted(store: FlowDatastore, name: str) -> None:
    flow = flow_in(store, "a", **{name: 1})
    with pytest.raises(ReservedAttributeError, match=f"self.{name} cannot be deleted .*{__file__}"):
        delattr(flow, name)
    assert flow._FlowSpec__task.scope.refs[name]  # type: ignore[attr-defined]


def test_artifacts_can_be_deleted(store: FlowDatastore) -> None:
    flow = flow_in(store, "a", inherited=1)
    flow.own = 2
    del flow.own, flow.inherited
    assert not hasattr(flow, "own")
    assert not hasattr(flow, "inherited")
    with pytest.raises(AttributeError, match="no artifact 'own' to delete"):
        del flow.own


def test_constants() -> None:
    assert constants_of(Flow) == {"CONSTANT": [1, 2]}


def test_outside_a_foreach(store: FlowDatastore) -> None:
    flow = flow_in(store, "a")
    assert (flow.input, flow.index, flow.foreach_stack()) == (None, None, [])
    assert flow.name == "Flow"


def test_iterating_over_the_steps() -> None:
    names = [method.name for method in Flow(use_cli=False)]
    assert names == ["start", "a", "b", "join", "end"]


def test_next_is_checked(store: FlowDatastore) -> None:
    flow = flow_in(store, "start")
    with pytest.raises(InvalidNextException, match="goes to a .*expected a, b"):
        flow.next(flow.a)
    with pytest.raises(InvalidNextException, match="expected steps such as"):
        flow.next("a")
    with pytest.raises(InvalidNextException, match="'forech'.*Did you mean 'foreach'"):
        flow.next(flow.a, forech="x")
    flow.next(flow.a, flow.b)
    with pytest.raises(InvalidNextException, match=f"called twice .*{__file__}"):
        flow.next(flow.a, flow.b)


def test_inputs(store: FlowDatastore) -> None:
    inputs = inputs_of(store, a={"x": 1}, b={"x": 2})
    assert [branch.x for branch in inputs] == [1, 2]
    assert (inputs.a.x, inputs.b.x, inputs[1].x, len(inputs)) == (1, 2, 2, 2)
    with pytest.raises(
        AttributeError, match="No input of this join comes from step 'c', found a, b"
    ):
        _ = inputs.c


def test_merging(store: FlowDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = flow_in(store, "join")
    inputs = inputs_of(store, a={"x": 1, "same": {"s"}}, b={"y": 2, "same": {"s"}})
    monkeypatch.setattr(store.blobs, "open", lambda _: pytest.fail("merging loaded a value"))
    flow.merge_artifacts(inputs)
    monkeypatch.undo()
    assert (flow.x, flow.y, flow.same) == (1, 2, {"s"})


def test_merging_conflicts(store: FlowDatastore) -> None:
    flow = flow_in(store, "join")
    inputs = inputs_of(store, a={"x": 1, "y": 1}, b={"x": 2, "y": 1.0})
    with pytest.raises(UnhandledInMergeArtifactsException) as caught:
        flow.merge_artifacts(inputs)
    assert caught.value.artifact_names == ["x", "y"]
    assert "'x' is 1 (from a/0) or 2 (from b/0)" in str(caught.value)
    assert not hasattr(flow, "x")
    flow.x = 3
    flow.merge_artifacts(inputs, exclude=["y"])
    assert flow.x == 3
    assert not hasattr(flow, "y")


def test_merging_only_some(store: FlowDatastore) -> None:
    flow = flow_in(store, "join")
    inputs = inputs_of(store, a={"x": 1, "z": 1}, b={"x": 1, "z": 2})
    flow.merge_artifacts(inputs, include=["x"])
    assert flow.x == 1
    with pytest.raises(MissingInMergeArtifactsException, match="no input has 'q'"):
        flow.merge_artifacts(inputs, include=["q"])
    with pytest.raises(FlowException, match="found both"):
        flow.merge_artifacts(inputs, include=["x"], exclude=["z"])


def test_merging_outside_a_join(store: FlowDatastore) -> None:
    with pytest.raises(FlowException, match="outside a join"):
        flow_in(store, "a").merge_artifacts([1, 2])  # type: ignore[arg-type]
