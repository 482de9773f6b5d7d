"""``show``, ``output-dot`` and ``output-raw`` of a flow with every kind of step."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from flowsdk import FlowSpec, retry, step
from tests.flowsdk.cli.conftest import Cli


class KindsFlow(FlowSpec):
    """One of each kind of step."""

    @step
    def start(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.xs = [1]
        self.next(self.body, foreach="xs")

    @retry(times=2)
    @step
    def body(self):
        """Works."""
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.join)

    @step
    def right(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.verdict = 'go "on"'
        self.next({'go "on"': self.work, "stop": self.end}, condition="verdict")

    @step
    def work(self):
        self.next(self.end)

    @step
    def end(self):
        pass


def test_dot_has_every_step_and_edge(cli: Cli) -> None:
    outcome = cli("--quiet", "output-dot", flow=KindsFlow)
    assert outcome.code == 0
    text = outcome.out
    assert text.startswith('digraph "KindsFlow" {')
    shapes = dict(re.findall(r'^    "(\w+)" \[shape="(\w+)"\];$', text, re.M))
    assert shapes == {
        "start": "house", "left": "house", "body": "box", "gather": "invhouse", "right": "box",
        "join": "invhouse", "work": "box", "end": "box",
    }  # fmt: skip
    edges = re.findall(r'^    "(\w+)" -> "(\w+)"(?: \[label="(.*)"\])?;$', text, re.M)
    assert sorted(edges) == [
        ("body", "gather", ""),
        ("gather", "join", ""),
        ("join", "end", "verdict = stop"),
        ("join", "work", r"verdict = go \"on\""),
        ("left", "body", "foreach xs"),
        ("right", "join", ""),
        ("start", "left", ""),
        ("start", "right", ""),
        ("work", "end", ""),
    ]


@pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")
def test_graphviz_reads_it(cli: Cli) -> None:
    text = cli("--quiet", "output-dot", flow=KindsFlow).out
    done = subprocess.run(
        ["dot", "-Tplain"], input=text, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\nnode ") == 8


def test_raw_is_readable_and_json_is_complete(cli: Cli) -> None:
    lines = cli("--quiet", "output-raw", flow=KindsFlow).out
    assert "Step left\n    type: split-foreach\n" in lines
    assert '    next: ["body"]\n' in lines
    outcome = cli("--quiet", "output-raw", "--json", flow=KindsFlow)
    steps = json.loads(outcome.out)["steps"]
    assert list(steps) == ["start", "left", "body", "gather", "right", "join", "work", "end"]
    assert steps["left"]["foreach_artifact"] == "xs"
    assert steps["left"]["matching_join"] == "gather"
    assert steps["join"]["condition"] == "verdict"
    assert [decorator["name"] for decorator in steps["body"]["decorators"]] == ["retry"]


def test_show_as_json(cli: Cli) -> None:
    outcome = cli("--quiet", "show", "--json", flow=KindsFlow)
    shown = json.loads(outcome.out)
    assert (outcome.code, shown["flow"], shown["doc"]) == (
        0,
        "KindsFlow",
        "One of each kind of step.",
    )
    assert shown["steps"]["body"]["doc"] == "Works."
