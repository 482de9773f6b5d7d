"""Parents and children of tasks, in flows of every shape."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowsdk import FlowSpec
from flowsdk.client import Run, Task, metadata
from flowsdk.client.metadata import newest_first, split_indices
from flowsdk.spec import TaskRef
from tests.flowsdk.client.recorded import record, store_at
from tests.flowsdk.client.shapes import EmptyFlow, LoopFlow, NestedFlow

Recorder = Callable[[type[FlowSpec]], Run]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    """Runs of the flows, each recorded once."""
    root = str(tmp_path_factory.mktemp("shapes"))
    made: dict[type[FlowSpec], str] = {}

    def run(flow: type[FlowSpec]) -> Run:
        if flow not in made:
            made[flow] = record(root, flow=flow)
        metadata(f"local@{root}")
        return Run(f"{flow.__name__}/{made[flow]}", _namespace_check=False)

    return run


def places(tasks: list[Task]) -> list[str]:
    return ["/".join(task.path_components[2:]) for task in tasks]


@pytest.mark.parametrize(
    ("task", "parents", "children"),
    [
        ("start/0", [], ["prepare/0", "prepare/1"]),
        ("prepare/1", ["start/0"], ["score/1-0", "score/1-1"]),
        ("score/1-0", ["prepare/1"], ["check/1-0"]),
        ("check/1-0", ["score/1-0"], ["collect/1"]),
        ("collect/1", ["check/1-0", "check/1-1"], ["join/0"]),
        ("join/0", ["collect/0", "collect/1"], ["end/0"]),
        ("end/0", ["join/0"], []),
    ],
)
def test_in_nested_foreaches(
    runs: Recorder, task: str, parents: list[str], children: list[str]
) -> None:
    run = runs(NestedFlow)
    found = Task(f"{run.pathspec}/{task}", _namespace_check=False)
    assert places(found.parent_tasks) == parents
    assert places(found.child_tasks) == children
    assert found.parent_task_pathspecs == [f"{run.pathspec}/{place}" for place in parents]
    assert found.child_task_pathspecs == [f"{run.pathspec}/{place}" for place in children]


def test_a_task_without_children_yet_is_not_given_those_of_another_split(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("partly")
    name = record(str(root), flow=NestedFlow)
    store = store_at(str(root), "NestedFlow")
    own = root / store.spec_uri(name, TaskRef("collect", "1", 0))
    for file in own.parent.iterdir():
        if file.is_file():
            file.unlink()
    own.parent.rmdir()
    metadata(f"local@{root}")
    check = Task(f"NestedFlow/{name}/check/1-0", _namespace_check=False)
    # There is a collect/0, and the id of check/1-0's own join is collect/1.
    assert check.child_tasks == []


def test_in_a_loop_and_a_switch(runs: Recorder) -> None:
    run = runs(LoopFlow)
    again = run["again"]
    ids = [task.id for task in again]
    assert ids == [f"0.{number}" for number in range(11, 0, -1)] + ["0"]
    assert places(again["0"].parent_tasks) == ["start/0"]
    assert places(again["0"].child_tasks) == ["again/0.1"]
    assert places(again["0.10"].child_tasks) == ["again/0.11"]
    assert places(again["0.11"].child_tasks) == ["choose/0"]
    choose = run["choose"].task
    assert choose
    assert places(choose.parent_tasks) == ["again/0.11"]
    assert places(choose.child_tasks) == ["left/0"]


def test_after_a_foreach_over_nothing(runs: Recorder) -> None:
    run = runs(EmptyFlow)
    start = run["start"].task
    join = run["join"].task
    assert start
    assert join
    assert start.child_tasks == [join]
    assert join.parent_tasks == [start]


def test_steps_have_parents_and_children_too(runs: Recorder) -> None:
    run = runs(LoopFlow)
    assert [step.id for step in run["again"].parent_steps] == ["again", "start"]
    assert [step.id for step in run["again"].child_steps] == ["choose", "again"]
    assert [step.id for step in run["choose"].child_steps] == ["left"]
    assert list(run["start"].parent_steps) == []
    assert list(run["end"].child_steps) == []
    assert [step.id for step in runs(NestedFlow)["collect"].parent_steps] == ["check"]


def test_task_ids_are_in_the_order_of_their_numbers() -> None:
    ids = ["3-7", "3-7.2", "3-7.10", "3-10", "12-0", "odd"]
    assert newest_first(ids) == ["12-0", "3-10", "3-7.10", "3-7.2", "3-7", "odd"]
    assert split_indices("3-7.2") == (3, 7, 2)
