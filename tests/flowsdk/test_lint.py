from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from flowsdk import FlowSpec
from flowsdk.exception import FlowLintError
from flowsdk.graph import FlowGraph
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
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_well_formed_flows_have_no_problems(tmp_path: Path, name: str) -> None:
    assert rules(flow_of(tmp_path, **GOOD[name])) == []


BAD = {
    "no start": ({"begin": "self.end", "end": ""}, [("start-step", "")]),
    "no end": ({"start": "self.a", "a": ""}, [("end-step", ""), ("missing-next", "a")]),
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
    "back to start": ({"start": "self.a", "a": "self.start", "end": ""}, None),
    "end goes on": ({"start": "self.end", "end": "self.a", "a": ""}, None),
    "end is a join": (
        {"start": "self.a, self.b", "a": "self.end", "b": "self.end", "end": "def end(self, inputs):\n    pass"},
        [("end-step", "end")],
    ),
    "no self": ({"start": "self.a", "a": "def a():\n    pass", "end": ""}, None),
    "three arguments": (
        {"start": "self.a", "a": "def a(self, b, c):\n    self.next(self.end)", "end": ""},
        None,
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
        None,
    ),
    "foreach without body": (
        {"start": "self.join, foreach='x'", "join": "self.end", "end": ""},
        [("split-join", "start")],
    ),
    "cycle": ({"start": "self.a", "a": "self.b", "b": "self.a", "end": ""}, None),
    "one case": ({"start": "{1: self.end}, condition='x'", "end": ""}, [("switch", "start")]),
    "switch to a join": (
        {"start": "self.a, self.b", "a": "{1: self.c, 2: self.join}, condition='x'", "b": "self.join",
         "c": "self.join", "join": "self.end", "end": ""},
        [("switch", "a")],
    ),
    "gang without join": (
        {"start": "self.a, num_parallel=2", "a": "self.b", "b": "self.join", "join": "self.end", "end": ""},
        [("parallel", "a")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_ill_formed_flows_have_the_problems_expected(tmp_path: Path, name: str) -> None:
    steps, expected = BAD[name]
    found = rules(flow_of(tmp_path, **steps))
    assert found
    if expected is not None:
        assert found == expected


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
    assert [line.split("]")[0] for line in lines] == [
        f"{file}:6: [unknown-step",
        f"{file}:8: [missing-next",
        f"{file}:17: [reserved-name",
        f"{file}:20: [missing-inputs",
        f"{file}:23: [unreachable",
    ]
    assert "Did you mean 'evaluate'?" in lines[0]
    with pytest.raises(FlowLintError, match="^5 problems in the flow:") as caught:
        validate(FlowGraph.from_flow(flow))
    assert all(line in str(caught.value) for line in lines)
