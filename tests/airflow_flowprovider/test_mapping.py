from __future__ import annotations

from pathlib import Path

from airflow_flowprovider.mapping import ForeachGroup, foreach_groups, unsupported
from flowsdk import FlowSpec, step
from flowsdk.graph import FlowGraph


class NestedFlow(FlowSpec):
    @step
    def start(self):
        self.xs = self.ys = [1]
        self.next(self.outer, foreach="xs")

    @step
    def outer(self):
        self.next(self.inner, foreach="ys")  # the nested one

    @step
    def inner(self):
        self.next(self.join_inner)

    @step
    def join_inner(self, inputs):
        self.next(self.join_outer)

    @step
    def join_outer(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class SwitchFlow(FlowSpec):
    @step
    def start(self):
        self.way = "a"
        self.next({"a": self.gang, "b": self.end}, condition="way")  # the switch

    @step
    def gang(self):
        self.next(self.work, num_parallel=2)  # the gang

    @step
    def work(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


def line_of(text: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(text))


def test_a_group_holds_the_steps_between_split_and_join() -> None:
    groups = foreach_groups(FlowGraph.from_flow(NestedFlow))
    assert groups["start"] == ForeachGroup("foreach_xs", "start", "xs", ("outer", "join_inner"))


def test_what_cannot_be_a_dag_is_said_with_its_place() -> None:
    (nested,) = unsupported(FlowGraph.from_flow(NestedFlow))
    assert (nested.file, nested.line, nested.step) == (
        __file__,
        line_of("# the nested one"),
        "outer",
    )
    assert "a foreach inside the foreach of step 'start'" in nested.message
    assert f"python {__file__} run" in nested.hint
    switch, gang = unsupported(FlowGraph.from_flow(SwitchFlow))
    assert (switch.line, switch.step) == (line_of("# the switch"), "start")
    assert (gang.line, gang.step) == (line_of("# the gang"), "gang")
    assert "num_parallel" in gang.message


class EmptyFlow(FlowSpec):
    @step
    def start(self):
        self.xs = []
        self.next(self.body, foreach="xs", allow_empty=True)  # the empty one

    @step
    def body(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self): ...


def test_a_foreach_that_may_be_empty_is_refused_rather_than_skipped_to_the_end() -> None:
    (empty,) = unsupported(FlowGraph.from_flow(EmptyFlow))
    assert (empty.line, empty.step) == (line_of("# the empty one"), "start")
    assert "a foreach with allow_empty" in empty.message
