from __future__ import annotations

import pytest

from airflow_flowprovider.checks import problems_of
from flowsdk import FlowSpec, Parameter, batch, resources, schedule, step
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


def test_what_aws_batch_would_refuse_is_found_at_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    class HungryFlow(FlowSpec):
        @batch(container_properties={"ulimit": []})
        @step
        def start(self):
            self.next(self.end)

        @resources(cpu=1, memory=5000)
        @step
        def end(self):
            pass

    (problem,) = problems(HungryFlow)
    assert "Did you mean 'ulimits'?" in problem.message
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__JOB_QUEUE", "serverless")
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__FARGATE_QUEUES", "serverless")
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__EXECUTION_ROLE_ARN", "arn:role")
    found = problems(HungryFlow)
    assert [problem.rule for problem in found] == ["batch", "resources"]
    (of_end,) = HungryFlow.end.decorators  # type: ignore[attr-defined]
    assert f"{found[1].file}:{found[1].line}" == of_end.location
    assert "The next is cpu=1, memory=5120." in found[1].message
