from __future__ import annotations

import re

import pytest

from airflow_flowprovider.mapping import FlowMapping
from airflow_flowprovider.operators.parents import Parents
from airflow_flowprovider.records import RECORD_KEY
from flowsdk import FlowSpec, step
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import FlowException
from flowsdk.flow import graph_of
from flowsdk.spec import Splits, TaskRef
from flowsdk.succession import Planned
from tests.airflow_flowprovider.operators.fakes import (
    SPLITS,
    FakeTaskInstance,
    XComs,
    finish,
    frame,
)
from tests.airflow_flowprovider.operators.flows import SampleFlow

GRAPH = graph_of(SampleFlow)


def tasks_of(step: str, store: FlowDatastore, xcoms: XComs, map_index: int = -1) -> list[Planned]:
    ti = FakeTaskInstance(step, map_index, xcoms=xcoms)
    return Parents(ti, GRAPH, FlowMapping(SampleFlow), GRAPH[step], store).tasks()


def of(step: str, store: FlowDatastore, xcoms: XComs, map_index: int = -1) -> Planned:
    (task,) = tasks_of(step, store, xcoms, map_index)
    return task


def test_the_start_step_comes_from_nowhere(store: FlowDatastore, xcoms: XComs) -> None:
    assert of("start", store, xcoms) == Planned()


def test_the_first_step_of_a_split(store: FlowDatastore, xcoms: XComs) -> None:
    finish(store, xcoms, "start", attempt=3, splits=SPLITS)
    found = of("body", store, xcoms, 1)
    assert found == Planned((TaskRef("start", "0", 3),), (frame(1),))


def test_within_a_split_parents_have_the_same_index(store: FlowDatastore, xcoms: XComs) -> None:
    for index in (0, 1):
        finish(store, xcoms, "body", (frame(index),), attempt=index)
        finish(store, xcoms, "right", (frame(index),))
        finish(store, xcoms, "left", (frame(index),), attempt=4)
    assert of("left", store, xcoms, 1) == Planned((TaskRef("body", "1", 1),), (frame(1),))
    # In the order of the source, not of their ends.
    assert of("both", store, xcoms, 0) == Planned(
        (TaskRef("left", "0", 4), TaskRef("right", "0", 0)), (frame(0),)
    )


def test_a_foreach_join_has_all_splits_in_order(store: FlowDatastore, xcoms: XComs) -> None:
    finish(store, xcoms, "start", splits=SPLITS)
    finish(store, xcoms, "both", (frame(0),), attempt=2)
    finish(store, xcoms, "both", (frame(1),))
    found = of("join", store, xcoms)
    assert found == Planned((TaskRef("both", "0", 2), TaskRef("both", "1", 0)), ())


def test_a_join_of_a_single_split(store: FlowDatastore, xcoms: XComs) -> None:
    one = Splits("names", 1, "digest", ("one",))
    finish(store, xcoms, "start", splits=one)
    finish(store, xcoms, "both", (one.frame("start", 0),))
    assert of("join", store, xcoms).parents == (TaskRef("both", "0", 0),)


def test_splits_of_an_earlier_wider_run_are_left_out(store: FlowDatastore, xcoms: XComs) -> None:
    for index in (0, 1):
        finish(store, xcoms, "both", (frame(index),))
    finish(store, xcoms, "start", splits=Splits("names", 1, "digest", ("one",)))
    assert of("join", store, xcoms).parents == (TaskRef("both", "0", 0),)


@pytest.mark.parametrize("task", ["1", "1-*"])
def test_a_split_that_had_failed_in_an_earlier_wider_run_is_left_out(
    store: FlowDatastore, xcoms: XComs, task: str
) -> None:
    """Its task instance is removed, so that nobody could clear it; Airflow keeps its XCom."""
    for index in (0, 1):
        finish(store, xcoms, "both", (frame(index),))
    several = {"foreach": [], "count": 3} if task == "1-*" else {}
    xcoms["both", RECORD_KEY, 1] |= {"status": "failed", "task": task, **several}
    finish(store, xcoms, "start", splits=SPLITS)
    with pytest.raises(FlowException, match=rf"failed parent tasks \(both/{re.escape(task)}/0\)"):
        of("join", store, xcoms)
    finish(store, xcoms, "start", attempt=1, splits=Splits("names", 1, "digest", ("one",)))
    assert of("join", store, xcoms).parents == (TaskRef("both", "0", 0),)


def test_missing_splits_are_named(store: FlowDatastore, xcoms: XComs) -> None:
    wide = Splits("names", 10, "digest", tuple("abcdefghij"))
    finish(store, xcoms, "start", splits=wide)
    finish(store, xcoms, "both", (wide.frame("start", 1),))
    with pytest.raises(FlowException) as raised:
        of("join", store, xcoms)
    assert "0[0], 0[2], 0[3], 0[4], 0[5] and 4 more of 'start'" in str(raised.value)


def test_a_parent_without_a_record(store: FlowDatastore, xcoms: XComs) -> None:
    with pytest.raises(
        FlowException, match="map index 1.: found no task record of its parents 'body'"
    ):
        of("left", store, xcoms, 1)
    with pytest.raises(FlowException, match="no task record of its parents 'join', expected"):
        of("end", store, xcoms)


class SwitchFlow(FlowSpec):
    @step
    def start(self):
        self.next({"by": self.by, "end": self.end}, condition="way")

    @step
    def by(self):
        self.next(self.end)

    @step
    def end(self): ...


def test_the_end_is_not_skipped_if_what_leads_to_it_was_marked_as_success_by_hand(
    store: FlowDatastore, xcoms: XComs
) -> None:
    graph, mapping = graph_of(SwitchFlow), FlowMapping(SwitchFlow)
    finish(store, xcoms, "start", next=("by",))
    ti = FakeTaskInstance("end", xcoms=xcoms)
    with pytest.raises(FlowException, match="no task record of its parents 'by', expected one"):
        Parents(ti, graph, mapping, graph["end"], store).tasks()
    finish(store, xcoms, "start", attempt=1, next=("end",))
    (task,) = Parents(ti, graph, mapping, graph["end"], store).tasks()
    assert task.parents == (TaskRef("start", "0", 1),)


@pytest.mark.parametrize(
    ("state", "by"), [("skipped", []), ("success", ["by"]), ("failed", []), (None, [])]
)
def test_a_step_is_skipped_only_if_the_run_goes_another_way(
    store: FlowDatastore, xcoms: XComs, state: str | None, by: list[str]
) -> None:
    """That a parent has no record says nothing of where the run goes, if nobody has run it."""
    graph, mapping = graph_of(TwiceFlow), FlowMapping(TwiceFlow)
    finish(store, xcoms, "start", next=("end",))
    ti = FakeTaskInstance("after", xcoms=xcoms, others={"by": state} if state else {})
    parents = Parents(ti, graph, mapping, graph["after"], store)
    if not by:
        assert parents.tasks() == []
        return
    with pytest.raises(FlowException, match="no task record of its parents 'by', expected one"):
        parents.tasks()


class TwiceFlow(FlowSpec):
    @step
    def start(self):
        self.next({"by": self.by, "after": self.after, "end": self.end}, condition="way")

    @step
    def by(self):
        self.next(self.after)

    @step
    def after(self):
        self.next(self.end)

    @step
    def end(self): ...


def test_a_failed_parent(store: FlowDatastore, xcoms: XComs) -> None:
    finish(store, xcoms, "join")
    xcoms["join", RECORD_KEY, -1]["status"] = "failed"
    with pytest.raises(FlowException, match=r"failed parent tasks \(join/0/0\)"):
        of("end", store, xcoms)


def test_a_map_index_beyond_the_splits(store: FlowDatastore, xcoms: XComs) -> None:
    finish(store, xcoms, "start", splits=SPLITS)
    with pytest.raises(FlowException, match="found 2 splits in the result of 'start'"):
        of("body", store, xcoms, 2)


def test_a_chunk_has_several_splits(store: FlowDatastore, xcoms: XComs) -> None:
    wide = Splits("names", 10, "digest", tuple("abcdefghij"))
    finish(store, xcoms, "start", splits=wide)
    xcoms["start", RECORD_KEY, -1]["chunk"] = 4
    chunks = [tasks_of("body", store, xcoms, index) for index in range(3)]
    indices = [[task.foreach[0].index for task in chunk] for chunk in chunks]
    assert indices == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_in_a_group_of_a_dag_all_ids_have_its_prefix(store: FlowDatastore, xcoms: XComs) -> None:
    finish(store, xcoms, "start", splits=SPLITS)
    for index in (0, 1):
        finish(store, xcoms, "both", (frame(index),))
    prefixed = {(f"outer.part.{task}", *rest): value for (task, *rest), value in xcoms.items()}
    ti = FakeTaskInstance("outer.part.join", xcoms=prefixed)
    parents = Parents(ti, GRAPH, FlowMapping(SampleFlow), GRAPH["join"], store)
    assert [task.parents for task in parents.tasks()] == [
        (TaskRef("both", "0", 0), TaskRef("both", "1", 0))
    ]
