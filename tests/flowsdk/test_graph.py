from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from flowsdk import FlowSpec, step
from flowsdk.graph import FlowGraph
from tests.flowsdk.flows import import_flow


class Shapes(FlowSpec):
    """What it is for."""

    @step
    def start(self):
        """The first."""
        self.next(self.left, self.right)

    @step
    def left(self):
        self.xs = [1]
        self.next(self.body, foreach="xs")

    @step
    def body(self):
        self.next(self.more)

    @step
    def more(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.merge)

    @step
    def right(self):
        self.next(self.merge)

    @step
    def merge(self, inputs):
        self.next({"a": self.one, 2: self.two}, condition="which")

    @step
    def one(self):
        self.next(self.end)

    @step
    def two(self):
        self.next(self.end)

    @step
    def end(self):
        pass


@pytest.fixture(scope="module")
def graph() -> FlowGraph:
    return FlowGraph.from_flow(Shapes)


def test_what_is_known_of_the_flow(graph: FlowGraph) -> None:
    assert (graph.name, graph.doc) == ("Shapes", "What it is for.")
    assert (graph.start, graph.end) == ("start", "end")
    assert graph.file == __file__
    source = Path(__file__).read_text("utf-8").splitlines()
    assert source[graph.line - 1] == "class Shapes(FlowSpec):"
    assert source[graph["more"].line - 1].strip() == "def more(self):"
    assert source[(graph["more"].next_line or 0) - 1].strip() == "self.next(self.gather)"


def test_kinds_and_edges(graph: FlowGraph) -> None:
    kinds = {node.name: node.kind for node in graph}
    assert kinds == {
        "start": "split",
        "left": "foreach",
        "body": "linear",
        "more": "linear",
        "gather": "join",
        "right": "linear",
        "merge": "switch",
        "one": "linear",
        "two": "linear",
        "end": "end",
    }
    assert graph["merge"].parents == ("gather", "right")
    assert graph["merge"].cases == {"a": "one", 2: "two"}
    assert graph["merge"].condition == "which"
    assert graph["left"].foreach == "xs"
    assert graph["start"].doc == "The first."


def test_which_splits_are_open(graph: FlowGraph) -> None:
    assert graph["more"].splits == ("start", "left")
    assert graph["more"].foreaches == ("left",)
    assert graph["gather"].join_of == "left"
    assert graph["gather"].splits == ("start",)
    assert graph["merge"].join_of == "start"
    assert graph["merge"].splits == ()


def test_which_branch_of_a_split_a_step_is_in(tmp_path: Path) -> None:
    body = """
    class F(FlowSpec):
        @step
        def start(self):
            self.next(self.a, self.b)
        @step
        def a(self):
            self.next({True: self.a, "no": self.c}, condition="x")
        @step
        def c(self):
            self.next(self.d, foreach="xs", allow_empty=True)
        @retry
        @timeout(seconds=5)
        @step
        def d(self):
            self.next(self.gathered)
        @step
        def gathered(self, inputs):
            self.next(self.join)
        @step
        def b(self):
            self.next(self.join)
        @step
        def join(self, inputs):
            self.next(self.end)
        @step
        def end(self): pass
    """
    graph = FlowGraph.from_flow(import_flow(tmp_path, body))
    assert {node.name: node.branches for node in graph if node.branches} == {
        "a": ("a",), "b": ("b",), "c": ("a",), "d": ("a", "d"), "gathered": ("a",)
    }  # fmt: skip
    assert [graph.branch_to(parent, "join") for parent in ("gathered", "b")] == [0, 1]
    assert graph.branch_to("d", "gathered") == 0
    assert (graph.join_for("start"), graph.join_for("c")) == ("join", "gathered")
    with pytest.raises(KeyError):
        graph.join_for("a")
    assert [node.name for node in graph if node.allow_empty] == ["c"]
    assert graph["a"].cases == {True: "a", "no": "c"}
    assert graph["d"].decorators == ("retry", "timeout")


def test_topological_order(graph: FlowGraph) -> None:
    order = [node.name for node in graph.topological()]
    assert sorted(order) == sorted(graph.nodes)
    for node in graph:
        assert all(order.index(parent) < order.index(node.name) for parent in node.parents)


def test_descendants(graph: FlowGraph) -> None:
    assert graph.descendants("right") == {"merge", "one", "two", "end"}
    assert graph.descendants("end") == frozenset()


def test_steps_are_inherited_and_overridden() -> None:
    class Base(FlowSpec):
        @step
        def start(self):
            self.next(self.middle)

        @step
        def middle(self):
            self.next(self.end)

        @step
        def end(self):
            pass

    class Derived(Base):
        @step
        def middle(self):
            self.next(self.extra)

        @step
        def extra(self):
            self.next(self.end)

    assert FlowGraph.from_flow(Base)["middle"].next == ("end",)
    derived = FlowGraph.from_flow(Derived)
    assert derived["middle"].next == ("extra",)
    assert [node.name for node in derived] == ["start", "middle", "end", "extra"]


def test_marked_start_and_end_and_a_single_step() -> None:
    class Marked(FlowSpec):
        @step(start=True)
        def first(self):
            self.next(self.last)

        @step(end=True)
        def last(self):
            pass

    class Single(FlowSpec):
        @step
        def only(self):
            pass

    marked = FlowGraph.from_flow(Marked)
    assert (marked.start, marked.end) == ("first", "last")
    single = FlowGraph.from_flow(Single)
    assert (single.start, single.end) == ("only", "only")


@pytest.mark.parametrize(
    ("statement", "transition"),
    [
        ("self.next(self.end)", "ok"),
        ("self.next(self.end, foreach='x')", "ok"),
        ("self.next(self.end, num_parallel=self.n)", "ok"),
        ("self.next({1: self.a, 2: self.end}, condition='x')", "ok"),
        ("pass", "none"),
        ("if 1: self.next(self.end)", "misplaced"),
        ("self.next('end')", "unparsable"),
        ("self.next()", "unparsable"),
        ("self.next(self.end, foreach=x)", "unparsable"),
        ("self.next(self.end, forech='x')", "unparsable"),
        ("self.next(self.a, self.end, foreach='x')", "unparsable"),
        ("self.next({1: 'a'}, condition='x')", "unparsable"),
        ("self.next({1: self.a}, condition=x)", "unparsable"),
        ("self.next({1: self.a})", "unparsable"),
        ("self.next({x: self.a, 1: self.end}, condition='x')", "unparsable"),
        ("self.next({1: self.a, 1: self.end}, condition='x')", "unparsable"),
        ("self.next({**cases}, condition='x')", "unparsable"),
        ("self.next(other.end)", "unparsable"),
        ("self.next(self.end, self.end)", "unparsable"),
        ("self.next(self.end, foreach='x', num_parallel=2)", "unparsable"),
        ("other.next(self.end)", "none"),
        ("return self.next(self.end)", "misplaced"),
    ],
)
def test_how_a_step_ends(tmp_path: Path, statement: str, transition: str) -> None:
    flow = import_flow(
        tmp_path,
        f"""
        class F(FlowSpec):
            @step
            def a(self):
                {statement}
        """,
    )
    assert FlowGraph.from_flow(flow)["a"].transition == transition


def test_order_is_that_of_the_definition_where_the_graph_leaves_a_choice() -> None:
    class Diamond(FlowSpec):
        @step
        def end(self):
            pass

        @step
        def c(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

        @step
        def start(self):
            self.next(self.b, self.c)

    order = [node.name for node in FlowGraph.from_flow(Diamond).topological()]
    assert order == ["start", "c", "b", "join", "end"]


def test_a_loop_has_an_order_too() -> None:
    class Loop(FlowSpec):
        @step
        def start(self):
            self.next(self.a)

        @step
        def a(self):
            self.next(self.b)

        @step
        def b(self):
            self.next(self.a)

    graph = FlowGraph.from_flow(Loop)
    assert [node.name for node in graph.topological()] == ["start", "a", "b"]
    assert graph.descendants("a") == {"a", "b"}


def test_graphs_can_be_compared_hashed_and_pickled(graph: FlowGraph) -> None:
    again = FlowGraph.from_flow(Shapes)
    assert again == graph
    assert hash(again) == hash(graph)
    assert pickle.loads(pickle.dumps(graph)) == graph


def test_a_step_that_a_subclass_takes_away() -> None:
    class Base(FlowSpec):
        @step
        def start(self):
            pass

        @step
        def extra(self):
            pass

    class Derived(Base):
        extra = None

    assert list(FlowGraph.from_flow(Derived).nodes) == ["start"]
