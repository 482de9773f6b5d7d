"""Splits by foreach, run for real: what can be iterated over, nested ones, empty ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.exception import FlowException
from tests.flowsdk.local.steps import END, JOIN, START, flow_of
from tests.flowsdk.running import Finished, run


def each(folder: Path, expression: str, *, allow_empty: str = "") -> Finished:
    """A run of a foreach over a value, of which every task keeps what it sees."""
    flow = flow_of(
        folder,
        f"""
        def start(self):
            self.xs = {expression}
            self.next(self.body, foreach="xs"{allow_empty})
        """,
        """
        def body(self):
            self.seen = self.input
            self.next(self.join)
        """,
        """
        def join(self, inputs):
            self.seen = [i.seen for i in inputs]
            self.next(self.end)
        """,
        END,
    )
    return run(flow, folder)


@pytest.mark.parametrize(
    ("expression", "elements"),
    [
        ("[None, 0, '', False]", [None, 0, "", False]),
        ("(1, 2)", [1, 2]),
        ("range(3)", [0, 1, 2]),
        ("'abc'", ["a", "b", "c"]),
        ("{'a': 1, 'b': 2}", [("a", 1), ("b", 2)]),
        ("{'a': 1, 'b': 2}.keys()", ["a", "b"]),
        ("{'a': 1}.items()", [("a", 1)]),
        ("(n * n for n in range(3))", [0, 1, 4]),
        ("map(str, [1, 2])", ["1", "2"]),
        ("zip([1], [2])", [(1, 2)]),
        ("iter([5])", [5]),
        ("b'ab'", [97, 98]),
    ],
)
def test_a_foreach_takes_whatever_can_be_iterated_over(
    tmp_path: Path, expression: str, elements: list[object]
) -> None:
    done = each(tmp_path, expression)
    assert done.succeeded
    assert done.value("end/0", "seen") == elements


def test_a_foreach_over_a_set_sees_each_element_once(tmp_path: Path) -> None:
    done = each(tmp_path, "{'x', 'y', 'z'}")
    assert sorted(done.value("end/0", "seen")) == ["x", "y", "z"]


def test_an_iterator_that_is_used_up_leaves_its_elements_as_the_artifact(tmp_path: Path) -> None:
    assert each(tmp_path, "(n for n in [3, 4])").value("start/0", "xs") == [3, 4]


def test_there_is_no_ceiling_of_a_hundred_splits(tmp_path: Path) -> None:
    done = each(tmp_path, "range(101)")
    assert done.value("end/0", "seen") == list(range(101))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("[]", "self.xs is empty, expected at least one element"),
        ("iter(())", "Pass allow_empty=True to self.next() to go straight to the join."),
        ("7", "self.xs is of type int, expected something that can be iterated over"),
    ],
)
def test_what_cannot_be_split_fails_before_any_child_starts(
    tmp_path: Path, expression: str, message: str
) -> None:
    done = each(tmp_path, expression)
    assert not done.succeeded
    assert message in done.error()
    assert done.started == ["start/0"]


EMPTY_INNER = """
    def body(self):
        self.ys = [] if self.index == 1 else [1]
        self.kept = self.index
        self.next(self.inner, foreach="ys", allow_empty=True)
"""
EMPTY_INNER_JOIN = """
    def inner_join(self, inputs):
        self.count = len(inputs)
        self.listed = list(inputs)
        self.merge_artifacts(inputs)
        self.where = (self.index, self.input, self.alpha, self.K, hasattr(self, "kept"))
        self.next(self.join)
"""


def test_an_empty_foreach_goes_straight_to_its_join_if_it_may(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.xs = 'pq'; self.next(self.body, foreach='xs')"),
        EMPTY_INNER,
        "def inner(self):\n    self.next(self.inner_join)",
        EMPTY_INNER_JOIN.replace("self.listed = list(inputs)", "assert len(list(inputs)) == self.count"),
        JOIN,
        END,
        head="alpha = Parameter('alpha', default=1)\nK = 5\n",
    )  # fmt: skip
    done = run(flow, tmp_path, {"alpha": 3})
    assert done.succeeded, done.error()
    assert done.values("inner_join", "count") == {"0": 1, "1": 0}
    # What joins pass on by themselves, and nothing else, is what an empty one has.
    assert done.value("inner_join/1", "where") == (1, "q", 3, 5, False)
    assert done.value("inner_join/0", "where") == (0, "p", 3, 5, True)
    assert done.value("join/0", "inputs") == 2
    split = done.results["body/1"]
    assert split.splits is not None
    assert (split.splits.count, split.next) == (0, ("inner_join",))


def test_inputs_of_an_empty_foreach_have_no_first_one(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.xs = {}; self.next(self.a, foreach='xs', allow_empty=True)"),
        "def a(self):\n    self.next(self.join)",
        """
        def join(self, inputs):
            try:
                inputs[0]
            except IndexError as error:
                self.first = str(error)
            try:
                inputs.a
            except AttributeError as error:
                self.named = str(error)
            self.next(self.end)
        """,
        END,
    )
    done = run(flow, tmp_path)
    assert done.succeeded, done.error()
    assert done.value("end/0", "named") == "No input of this join comes from step 'a', found none."


def test_after_the_inner_join_index_and_input_are_those_of_the_outer_level(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.xs = 'ab'; self.next(self.outer, foreach='xs')"),
        "def outer(self):\n    self.ys = [10, 20]\n    self.next(self.inner, foreach='ys')",
        "def inner(self):\n    self.stack = self.foreach_stack()\n    self.next(self.inner_join)",
        "def inner_join(self, inputs):\n    self.seen = (self.index, self.input, self.foreach_stack())\n"
        "    self.next(self.join)",
        JOIN,
        END,
    )
    done = run(flow, tmp_path)
    assert done.value("inner/1-0", "stack") == [(1, 2, "b"), (0, 2, 10)]
    assert done.value("inner_join/1", "seen") == (1, "b", [(1, 2, "b")])


def test_more_splits_than_allowed_end_the_run_before_any_of_them(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.xs = range(5); self.next(self.a, foreach='xs')"),
        "def a(self):\n    self.next(self.join)",
        JOIN,
        END,
    )
    with pytest.raises(
        FlowException, match=r"'start' \(.*:\d+\) splits into 5 tasks, expected at most"
    ):
        run(flow, tmp_path, max_num_splits=4)
    assert run(flow, tmp_path, max_num_splits=5).succeeded
