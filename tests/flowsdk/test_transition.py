"""Where a step goes whose own code has not said it; see local/test_transitions.py for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowsdk import FlowSpec
from flowsdk.exception import InvalidNextException, UnknownCaseException
from flowsdk.flow import graph_of
from flowsdk.transition import Transition, implied
from tests.flowsdk.flows import import_flow

FLOW = """
from flowsdk import parallel
class F(FlowSpec):
    @step
    def start(self):
        self.next(self.switch)
    @step
    def switch(self):
        self.next({"x": self.each, "y": self.gang}, condition="which")
    @step
    def each(self):
        self.next(self.body, foreach="xs", allow_empty=True)
    @step
    def body(self):
        self.next(self.join)
    @step
    def join(self, inputs):
        self.next(self.end)
    @step
    def gang(self):
        self.next(self.train, num_parallel=self.n)
    @parallel
    @step
    def train(self):
        self.next(self.trained)
    @step
    def trained(self, inputs):
        self.next(self.end)
    @step
    def end(self): pass
"""


@pytest.fixture
def flow(tmp_path: Path) -> FlowSpec:
    return import_flow(tmp_path, FLOW)(use_cli=False)


@pytest.mark.parametrize(
    ("step_name", "how", "expected"),
    [
        ("start", {}, Transition(("switch",))),
        ("join", {}, Transition(("end",))),
        ("end", {}, Transition()),
        ("switch", {}, Transition(("gang",))),
        ("switch", {"condition": "other"}, Transition(("each",))),
        ("each", {}, Transition(("body",), "xs", True)),
        ("each", {"foreach": "ys", "allow_empty": False}, Transition(("body",), "ys")),
        ("gang", {"num_parallel": 3}, Transition(("train",), gang=3)),
    ],
)
def test_what_the_source_says(
    flow: FlowSpec, step_name: str, how: dict[str, Any], expected: Transition
) -> None:
    flow.which, flow.other = "y", "x"
    assert implied(flow, graph_of(type(flow))[step_name], how) == expected


@pytest.mark.parametrize(
    ("step_name", "how", "message"),
    [
        ("gang", {}, "Let the decorator give it: {'num_parallel': 4}."),
        ("gang", {"num_parallel": 0}, "found 0, expected a whole number of tasks, at least 1."),
        ("start", {"foreach": "xs"}, "found 'foreach', expected the keywords of the step's own"),
        ("end", {"condition": "x"}, "found 'condition', expected the keywords of the step's own"),
        ("switch", {"condition": "nothing"}, "self.nothing does not exist"),
    ],
)
def test_what_it_does_not_say(
    flow: FlowSpec, step_name: str, how: dict[str, Any], message: str
) -> None:
    node = graph_of(type(flow))[step_name]
    with pytest.raises(InvalidNextException) as caught:
        implied(flow, node, how)
    assert message in str(caught.value)
    if node.next_line:
        assert f"{node.file}:{node.next_line}" in str(caught.value)


def test_a_case_that_is_not_there(flow: FlowSpec) -> None:
    flow.which = "z"
    with pytest.raises(UnknownCaseException, match="expected one of the cases 'x', 'y'"):
        implied(flow, graph_of(type(flow))["switch"])
