from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowsdk.client.metadata import newest_first
from flowsdk.graph import FlowGraph
from flowsdk.planning import after_failures, frames_of, gang_facts, iteration_of, task_id
from flowsdk.spec import ErrorInfo, ForeachFrame, Splits, TaskSpec
from tests.flowsdk.flows import import_flow


def frame(index: int, count: int = 100, values: str = "digest") -> ForeachFrame:
    return ForeachFrame("split", "xs", index, count, values, str(index))


@pytest.mark.parametrize(
    ("indices", "iteration", "expected"),
    [([], 0, "0"), ([], 1, "0.1"), ([3], 0, "3"), ([3, 7], 2, "3-7.2"), ([0, 10], 0, "0-10")],
)
def test_task_ids(indices: list[int], iteration: int, expected: str) -> None:
    task = task_id([frame(index) for index in indices], iteration)
    assert task == expected
    assert iteration_of(task) == iteration


@given(st.sets(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 12)), min_size=1))
def test_ids_sort_as_the_tasks_are_launched(places: set[tuple[int, int, int]]) -> None:
    ids = {
        task_id([frame(a), frame(b)], iteration): (a, b, iteration) for a, b, iteration in places
    }
    assert len(ids) == len(places)
    assert [ids[task] for task in newest_first(ids)] == sorted(places, reverse=True)


def test_a_task_of_a_gang_knows_its_control_task() -> None:
    assert gang_facts([]) == {}
    assert gang_facts([frame(2)]) == {}
    assert gang_facts([frame(2, 4, values="")]) == {
        "parallel": {
            "main_ip": "127.0.0.1", "num_nodes": 4, "node_index": 2, "control_task_id": "0"
        }
    }  # fmt: skip
    inner = gang_facts([frame(5), frame(1, 2, values="")])["parallel"]
    assert inner["control_task_id"] == "5-0"


def test_the_levels_around_a_task(tmp_path: Path) -> None:
    graph = FlowGraph.from_flow(
        import_flow(
            tmp_path,
            """
            class F(FlowSpec):
                @step
                def start(self):
                    self.next(self.body, foreach="xs", allow_empty=True)
                @step
                def body(self):
                    self.next({1: self.body, 2: self.last}, condition="x")
                @step
                def last(self):
                    self.next(self.join)
                @step
                def join(self, inputs):
                    self.next(self.end)
                @step
                def end(self): pass
            """,
        )
    )
    splits = Splits("xs", 2, "digest", ("a", "b"))
    inside = frames_of(graph, graph["body"], "start", (), splits, 1)
    assert [(f.step, f.index, f.label) for f in inside] == [("start", 1, "b")]
    assert frames_of(graph, graph["body"], "body", inside) == inside
    assert frames_of(graph, graph["join"], "last", inside) == ()
    # Over nothing, the join comes right after the step that splits and is in no split of it.
    assert frames_of(graph, graph["join"], "start", (frame(3),)) == (frame(3),)


LOST = ErrorInfo("user", "flowsdk.aws_batch.TimedOut", "too long")


@pytest.mark.parametrize(
    ("catches", "failures", "lost", "last", "after"),
    [
        (True, 1, LOST, False, (1, None)),  # its author allows another try
        (True, 2, LOST, False, (2, LOST)),
        (True, 0, LOST, True, (1, LOST)),  # the platform has used up all tries
        (True, 2, None, True, (2, None)),
        (False, 2, LOST, True, (2, None)),
    ],
)
def test_what_was_lost_for_good_is_caught_by_another_attempt(
    catches: bool,
    failures: int,
    lost: ErrorInfo | None,
    last: bool,
    after: tuple[int, ErrorInfo | None],
) -> None:
    spec = TaskSpec("F", "r", "s", "0", 2, "root", max_retries=1, catches=catches)
    made = after_failures(spec, failures, lost, last=last)
    assert (made.retry_count, made.lost) == after
    assert TaskSpec.from_json(made.to_json()) == made
