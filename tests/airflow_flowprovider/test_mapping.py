from __future__ import annotations

import pytest

from airflow_flowprovider.mapping import FlowMapping, ForeachGroup, trigger_rule
from flowsdk import FlowSpec, batch, parallel, step
from flowsdk.flow import graph_of


class NestedFlow(FlowSpec):
    @step
    def start(self):
        self.xs = self.ys = [1]
        self.next(self.outer, foreach="xs")

    @step
    def outer(self):
        self.next(self.inner, foreach="ys")

    @step
    def inner(self):
        self.next(self.join_inner)

    @step
    def join_inner(self, inputs):
        self.next(self.join_outer)

    @step
    def join_outer(self, inputs):
        self.zs = []
        self.next(self.wide, foreach="zs", allow_empty=True)

    @batch(array=True)
    @step
    def wide(self):
        self.next(self.narrow)

    @step
    def narrow(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class SwitchFlow(FlowSpec):
    @step
    def start(self):
        self.way = "a"
        self.next({"a": self.a, "b": self.b}, condition="way")

    @step
    def a(self):
        self.next(self.both)

    @step
    def b(self):
        self.next(self.further)

    @step
    def further(self):
        self.next(self.both)

    @step
    def both(self):
        self.again = False
        self.next({True: self.both, False: self.gang}, condition="again")

    @step
    def gang(self):
        self.next(self.work, num_parallel=2)

    @parallel
    @step
    def work(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


def test_a_group_holds_all_steps_between_split_and_join() -> None:
    groups = FlowMapping(NestedFlow).groups
    steps = ("outer", "inner", "join_inner")
    assert groups["start"] == ForeachGroup("foreach_xs", "start", "xs", steps, mapped=True)
    assert groups["join_outer"].steps == ("wide",)
    assert set(groups) == {"start", "join_outer"}


def test_what_runs_as_arrays_is_not_mapped() -> None:
    mapping = FlowMapping(NestedFlow)
    assert not mapping.groups["join_outer"].mapped
    openers = {step: mapping.opener_of(step) for step in graph_of(NestedFlow).nodes}
    assert {step for step, opener in openers.items() if opener} == {"outer", "inner", "join_inner"}


@pytest.mark.parametrize(
    ("flow", "step", "rule"),
    [
        (NestedFlow, "outer", "all_success"),
        (NestedFlow, "join_inner", "all_success"),
        (NestedFlow, "narrow", "none_failed"),  # what it is mapped over may be nothing
        (SwitchFlow, "a", "all_success"),
        (SwitchFlow, "further", "all_success"),  # skipped with what it follows
        (SwitchFlow, "both", "none_failed"),
        (SwitchFlow, "gang", "all_success"),  # the only way out of the loop
        (SwitchFlow, "end", "all_success"),
    ],
)
def test_a_task_waits_for_what_may_be_skipped_only_where_it_must(
    flow: type[FlowSpec], step: str, rule: str
) -> None:
    graph = graph_of(flow)
    assert trigger_rule(graph, graph[step]) == rule


def test_a_gang_is_one_task_instance() -> None:
    group = ForeachGroup("gang_gang", "gang", "", ("work",), mapped=False)
    assert FlowMapping(SwitchFlow).groups == {"gang": group}
    assert FlowMapping(SwitchFlow).opener_of("work") is None
