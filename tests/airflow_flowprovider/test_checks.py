from __future__ import annotations

from airflow_flowprovider.checks import problems_of
from flowsdk import FlowSpec, Parameter, schedule, step
from flowsdk.graph import FlowGraph
from flowsdk.lint import Problem


def problems(flow: type) -> list[Problem]:
    return problems_of(flow, FlowGraph.from_flow(flow))


def test_a_sound_flow_has_none() -> None:
    class SoundFlow(FlowSpec):
        size = Parameter("size", default=1)

        @step
        def start(self):
            pass

    assert problems(SoundFlow) == []


def test_nobody_gives_a_scheduled_flow_a_value() -> None:
    class TimedFlow(FlowSpec):
        size = Parameter("size", required=True)
        day = Parameter("day", required=True, default="monday")

        @step
        def start(self):
            pass

    assert problems(TimedFlow) == []
    (problem,) = problems(schedule(daily=True)(TimedFlow))
    assert problem.rule == "parameter"
    assert f"{problem.file}:{problem.line}" == TimedFlow.size.location  # type: ignore[attr-defined]
    assert "'size'" in problem.message


def test_malformed_parameters_are_all_reported() -> None:
    class MalformedFlow(FlowSpec):
        one = Parameter("one", default=3, max=2)
        two = Parameter("t w o")

        @step
        def start(self):
            pass

    found = problems(MalformedFlow)
    assert [problem.rule for problem in found] == ["parameter", "parameter"]
    for problem, parameter in zip(found, (MalformedFlow.one, MalformedFlow.two), strict=True):
        assert parameter.location in problem.message  # type: ignore[attr-defined]
