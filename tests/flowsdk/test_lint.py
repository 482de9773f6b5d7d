from __future__ import annotations

import itertools
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowsdk import FlowSpec
from flowsdk.exception import FlowLintError
from flowsdk.graph import FlowGraph, Node
from flowsdk.lint import check, validate
from tests.flowsdk.flows import import_flow


def flow_of(folder: Path, **steps: str) -> type[FlowSpec]:
    """A flow of steps given as ``name="next target, …"`` or, in full, ``name="def …"``."""
    body = "class F(FlowSpec):\n"
    for name, what in steps.items():
        if what.startswith("def"):
            source = what
        else:
            arguments = "self, inputs" if name.startswith("join") else "self"
            end = f"self.next({what})" if what else "pass"
            source = f"def {name}({arguments}):\n    {end}"
        body += textwrap.indent(f"@step\n{source}\n", "    ")
    return import_flow(folder, body)


def rules(flow: type[FlowSpec]) -> list[tuple[str, str]]:
    return [(problem.rule, problem.step) for problem in check(FlowGraph.from_flow(flow))]


GOOD = {
    "linear": {"start": "self.end", "end": ""},
    "split": {"start": "self.a, self.b", "a": "self.join", "b": "self.join", "join": "self.end", "end": ""},
    "foreach": {"start": "self.a, foreach='x'", "a": "self.b", "b": "self.join", "join": "self.end", "end": ""},
    "nested": {
        "start": "self.a, foreach='x'", "a": "self.b, foreach='y'", "b": "self.join_b",
        "join_b": "self.join_a", "join_a": "self.end", "end": "",
    },
    "split in foreach": {
        "start": "self.a, foreach='x'", "a": "self.b, self.c", "b": "self.join_b", "c": "self.join_b",
        "join_b": "self.join_a", "join_a": "self.end", "end": "",
    },
    "branches of different length": {
        "start": "self.a, self.b", "a": "self.c", "c": "self.d", "d": "self.join", "b": "self.join",
        "join": "self.end", "end": "",
    },
    "switch": {"start": "{1: self.a, 2: self.b}, condition='x'", "a": "self.end", "b": "self.end", "end": ""},
    "loop": {"start": "self.a", "a": "{1: self.a, 2: self.end}, condition='x'", "end": ""},
    "switch in a switch": {
        "start": "{1: self.a, 2: self.b}, condition='x'", "a": "{1: self.c, 2: self.d}, condition='y'",
        "c": "self.m", "d": "self.m", "m": "self.z", "b": "self.z", "z": "self.end", "end": "",
    },
    "switch in a branch": {
        "start": "self.a, self.b", "a": "{-1: self.c, 'k': self.d}, condition='x'", "c": "self.join",
        "d": "self.join", "b": "self.join", "join": "self.end", "end": "",
    },
    "switch that skips a step": {
        "start": "{1: self.a, 2: self.b}, condition='x'", "a": "self.b", "b": "self.end", "end": "",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_well_formed_flows_have_no_problems(tmp_path: Path, name: str) -> None:
    assert rules(flow_of(tmp_path, **GOOD[name])) == []


BAD = {
    "no start": ({"begin": "self.end", "end": ""}, [("start-step", "")]),
    "no end": ({"start": "self.a", "a": ""}, [("end-step", "")]),
    "unknown": ({"start": "self.ende", "end": ""}, [("unknown-step", "start")]),
    "unreachable": ({"start": "self.end", "a": "self.end", "end": ""}, [("unreachable", "a")]),
    "unreachable chain": (
        {"start": "self.end", "a": "self.b", "b": "self.end", "end": ""},
        [("unreachable", "a")],
    ),
    "missing next": ({"start": "self.a", "a": "", "end": ""}, [("missing-next", "a")]),
    "misplaced next": (
        {"start": "def start(self):\n    if 1: self.next(self.end)", "end": ""},
        [("missing-next", "start")],
    ),
    "strange next": (
        {"start": "def start(self):\n    self.next('end')", "end": ""},
        [("invalid-next", "start")],
    ),
    "reserved": ({"start": "self.input", "input": "self.end", "end": ""}, [("reserved-name", "input")]),
    "bad name": ({"start": "self.Fit", "Fit": "self.end", "end": ""}, [("step-name", "Fit")]),
    "back to start": ({"start": "self.a", "a": "self.start", "end": ""}, [("start-step", "a")]),
    "end goes on": (
        {"start": "self.end", "end": "self.a", "a": ""},
        [("end-step", "end"), ("missing-next", "a")],
    ),
    "end is a join": (
        {"start": "self.a, self.b", "a": "self.end", "b": "self.end", "end": "def end(self, inputs):\n    pass"},
        [("end-step", "end")],
    ),
    "no self": (
        {"start": "self.a", "a": "def a():\n    self.next(self.end)", "end": ""},
        [("arguments", "a")],
    ),
    "three arguments": (
        {"start": "self.a", "a": "def a(self, b, c):\n    self.next(self.end)", "end": ""},
        [("arguments", "a")],
    ),
    "join and split": (
        {"start": "self.a, self.b", "a": "self.join", "b": "self.join", "join": "self.c, self.d",
         "c": "self.join2", "d": "self.join2", "join2": "self.end", "end": ""},
        [("join-and-split", "join")],
    ),
    "join without inputs": (
        {"start": "self.a, self.b", "a": "self.m", "b": "self.m", "m": "self.end", "end": ""},
        [("missing-inputs", "m")],
    ),
    "join without split": (
        {"start": "self.join", "join": "self.end", "end": ""},
        [("split-join", "join")],
    ),
    "split not joined": (
        {"start": "self.a, foreach='x'", "a": "self.end", "end": ""},
        [("split-join", "end")],
    ),
    "one branch not joined": (
        {"start": "self.a, self.b, self.c", "a": "self.join", "b": "self.join", "c": "self.d",
         "d": "self.end", "join": "self.end", "end": ""},
        [("split-join", "join")],
    ),
    "foreach without body": (
        {"start": "self.join, foreach='x'", "join": "self.end", "end": ""},
        [("split-join", "start")],
    ),
    "branch goes directly to the join": (
        {"start": "self.a, self.join", "a": "self.join", "join": "self.end", "end": ""},
        [("split-join", "start")],
    ),
    "two joins for one split": (
        {"start": "self.a, self.b, self.c", "a": "self.join1", "b": "self.join1", "c": "self.join2",
         "join1": "self.end", "join2": "self.end", "end": ""},
        [("split-join", "join2")],
    ),
    "inner branches join the outer split": (
        {"start": "self.a, self.b", "a": "self.c, self.d", "c": "self.join", "d": "self.join",
         "b": "self.join", "join": "self.end", "end": ""},
        [("split-join", "join")],
    ),
    "foreach joins the outer split": (
        {"start": "self.a, self.b", "a": "self.c, foreach='x'", "c": "self.join", "b": "self.join",
         "join": "self.end", "end": ""},
        [("split-join", "join")],
    ),
    "branches meet in the end": (
        {"start": "self.a, self.b", "a": "self.end", "b": "self.end", "end": ""},
        [("split-join", "end")],
    ),
    "loop": (
        {"start": "self.a", "a": "self.b", "b": "self.a", "end": ""},
        [("cycle", "b")],
    ),
    "loop through a switch": (
        {"start": "self.a", "a": "self.b", "b": "{1: self.a, 2: self.end}, condition='x'", "end": ""},
        [("cycle", "b")],
    ),
    "two loops": (
        {"start": "{1: self.a, 2: self.c, 3: self.end}, condition='x'", "a": "self.b", "b": "self.a",
         "c": "self.c", "end": ""},
        [("cycle", "b"), ("cycle", "c")],
    ),
    "step of another object": (
        {"start": "other.a", "a": "self.end", "end": ""},
        [("invalid-next", "start")],
    ),
    "a target twice": (
        {"start": "self.a, self.a", "a": "self.end", "end": ""},
        [("invalid-next", "start")],
    ),
    "a case twice": (
        {"start": "{1: self.a, True: self.b}, condition='x'", "a": "self.end", "b": "self.end", "end": ""},
        [("invalid-next", "start")],
    ),
    "a case that is no literal": (
        {"start": "{K: self.a, 1: self.b}, condition='x'", "a": "self.end", "b": "self.end", "end": ""},
        [("invalid-next", "start")],
    ),
    "no start, no end": ({"a": "self.b", "b": ""}, [("end-step", ""), ("start-step", "")]),
    "one case": ({"start": "{1: self.end}, condition='x'", "end": ""}, [("switch", "start")]),
    "switch to a join": (
        {"start": "self.a, self.b", "a": "{1: self.c, 2: self.join}, condition='x'", "b": "self.join",
         "c": "self.join", "join": "self.end", "end": ""},
        [("switch", "a")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_ill_formed_flows_have_the_problems_expected(tmp_path: Path, name: str) -> None:
    steps, expected = BAD[name]
    found = rules(flow_of(tmp_path, **steps))
    assert found
    if expected is not None:
        assert found == expected


CASCADES = {
    "the flow is cut in two": ({"start": "self.a", "a": "", "b": "self.c", "c": "self.end", "end": ""}, "a"),
    "a branch stops": ({"start": "self.a, self.b", "a": "self.join", "b": "", "join": "self.end", "end": ""}, "b"),
    "a branch is misspelt": (
        {"start": "self.a, self.b", "a": "self.jion", "b": "self.join", "join": "self.end", "end": ""},
        "a",
    ),
    "the foreach is not understood": (
        {"start": "self.a, foreach=x", "a": "self.join", "join": "self.end", "end": ""},
        "start",
    ),
    "next in branches of an if": (
        {"start": "def start(self):\n    if 1:\n        self.next(self.a)\n    else:\n        self.next(self.b)",
         "a": "self.end", "b": "self.end", "end": ""},
        "start",
    ),
    "a name similar to that of a sibling": (
        {"start": "self.train_a, self.train_b", "train_a": "self.train_c", "train_b": "self.join",
         "join": "self.end", "end": ""},
        "train_a",
    ),
    "everything before the end is misspelt": ({"start": "self.finish", "end": ""}, "start"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASCADES)
def test_one_mistake_is_one_problem(tmp_path: Path, name: str) -> None:
    steps, culprit = CASCADES[name]
    problems = check(FlowGraph.from_flow(flow_of(tmp_path, **steps)))
    assert [problem.step for problem in problems] == [culprit]


def test_what_is_not_understood_and_why(tmp_path: Path) -> None:
    for target, why in {
        "self.a, foreach=x": "foreach=x is not the name of an attribute in quotes.",
        "self.a, forech='x'": "'forech' is not one of its arguments. Did you mean 'foreach'?",
        "self.a, self.b, foreach='x'": "'foreach' goes to one step, found 2.",
        "{1: self.a, 2: self.b}": "A dict of cases goes with condition='<attribute>'.",
        "{None: self.a, 2: self.b}, condition='x'": "Case None is not a literal",
        "": "It names no step.",
    }.items():
        flow = flow_of(tmp_path, start=f"def start(self):\n    self.next({target})",
                       a="self.end", b="self.end", end="")  # fmt: skip
        messages = [problem.message for problem in check(FlowGraph.from_flow(flow))]
        assert any(why in message for message in messages), (target, messages)


def test_a_method_that_should_be_a_step(tmp_path: Path) -> None:
    flow = import_flow(
        tmp_path,
        """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.fit)
            def fit(self):
                self.next(self.end)
            @step
            def end(self):
                pass
        """,
    )
    problems = check(FlowGraph.from_flow(flow))
    assert [problem.rule for problem in problems] == ["unknown-step"]
    assert "mark it with @step" in problems[0].hint


@given(
    st.lists(
        st.tuples(st.sampled_from(["linear", "split", "foreach", "switch"]),
                  st.lists(st.integers(0, 8), max_size=3), st.booleans()),
        min_size=1, max_size=8,
    )
)  # fmt: skip
@settings(max_examples=300, deadline=None, derandomize=True)
def test_no_graph_is_too_ill_formed(shape: list[tuple[str, list[int], bool]]) -> None:
    """Whatever leads where: no exception, and the same problems each time."""
    names = ["start", *(f"s{number}" for number in range(1, 8)), "end"]
    nodes = {}
    for name, (kind, targets, is_join) in zip(names, shape, strict=False):
        following = tuple(dict.fromkeys(names[target] for target in targets))
        nodes[name] = Node(name, kind, next=following, is_join=is_join, num_args=1 + is_join,  # type: ignore[arg-type]
                           transition="ok" if following else "none", line=names.index(name))  # fmt: skip
    graph = FlowGraph("F", "flow.py", 1, "", nodes, "start", "end" if "end" in nodes else None)
    assert check(graph) == check(graph)


@st.composite
def well_formed(draw: st.DrawFn) -> dict[str, str]:
    """Steps of a flow put together from sequences, splits, foreaches, switches and loops."""
    numbers = itertools.count()
    steps: dict[str, str] = {}

    def block(after: str, depth: int) -> str:
        """Steps that lead to ``after``; the first of them."""
        name = f"s{next(numbers)}"
        kind = (
            draw(st.sampled_from(["linear", "split", "foreach", "switch", "loop"])) if depth else ""
        )
        if kind == "split":
            join = f"join{next(numbers)}"
            branches = [block(join, depth - 1) for _ in range(draw(st.integers(2, 3)))]
            steps[name] = ", ".join(f"self.{branch}" for branch in branches)
            steps[join] = f"self.{after}"
        elif kind == "foreach":
            join = f"join{next(numbers)}"
            steps[name] = f"self.{block(join, depth - 1)}, foreach='x'"
            steps[join] = f"self.{after}"
        elif kind == "switch":
            meet = f"s{next(numbers)}"
            steps[meet] = f"self.{after}"
            cases = [block(meet, depth - 1) for _ in range(draw(st.integers(1, 2)))]
            cases.append(meet)
            targets = ", ".join(f"{i}: self.{case}" for i, case in enumerate(cases))
            steps[name] = f"{{{targets}}}, condition='x'"
        elif kind == "loop":
            meet = f"s{next(numbers)}"
            steps[meet] = f"self.{after}"
            steps[name] = f"{{1: self.{name}, 2: self.{meet}}}, condition='x'"
        else:
            steps[name] = f"self.{after}" if not depth else f"self.{block(after, depth - 1)}"
        return name

    steps["start"] = f"self.{block('end', draw(st.integers(1, 4)))}"
    steps["end"] = ""
    return steps


@given(well_formed())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_whatever_is_nested_properly_is_well_formed(steps: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert rules(flow_of(Path(folder), **steps)) == []


def test_five_independent_mistakes_are_five_problems(tmp_path: Path) -> None:
    flow = import_flow(
        tmp_path,
        """
        class Five(FlowSpec):
            @step
            def start(self):
                self.next(self.left, self.right, self.evalute)
            @step
            def left(self):
                self.x = 1
            @step
            def right(self):
                self.next(self.merge)
            @step
            def evaluate(self):
                self.next(self.index)
            @step
            def index(self):
                self.next(self.merge)
            @step
            def merge(self):
                self.next(self.end)
            @step
            def lonely(self):
                self.next(self.end)
            @step
            def end(self):
                pass
        """,
    )
    file = tmp_path / "flow.py"
    lines = [str(problem) for problem in check(FlowGraph.from_flow(flow))]
    assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in lines] == [
        f"{file}:6: unknown-step",
        f"{file}:8: missing-next",
        f"{file}:17: reserved-name",
        f"{file}:20: missing-inputs",
        f"{file}:23: unreachable",
    ]
    assert "Did you mean 'evaluate'?" in lines[0]
    with pytest.raises(FlowLintError, match="^5 problems in the flow:") as caught:
        validate(FlowGraph.from_flow(flow))
    assert all(line in str(caught.value) for line in lines)
