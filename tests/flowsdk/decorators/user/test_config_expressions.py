from __future__ import annotations

import pytest

from flowsdk import Config, MutableFlow, config_expr, environment, resources, retry, step
from flowsdk.decorators.base import decorators_of
from flowsdk.decorators.prepare import prepare
from flowsdk.decorators.settings import step_settings
from flowsdk.exception import DecoratorError
from tests.flowsdk.decorators.user.mutated_flows import (
    Act,
    Base,
    FlowAct,
    Takes,
    tagging,
    with_flow_mutator,
)


def test_mutators_decide_by_configs() -> None:
    def decorate(flow: MutableFlow) -> None:
        for name, config in next(flow.configs)[1].steps.items():
            getattr(flow, name).add_decorator(
                retry, deco_kwargs=config.to_dict(), duplicates=MutableFlow.OVERRIDE
            )

    assert step_settings(with_flow_mutator(decorate), "start").retry_times == 4


def test_expressions_become_values_everywhere() -> None:
    @FlowAct(config_expr("act"))
    class Uses(Base):
        settings = Config("settings", default_value={"cpu": 3, "who": "me"})

        @resources(cpu=settings.cpu, memory=config_expr("settings.cpu * 1000"))
        @environment(vars={"A": [settings.cpu][0]})
        @Takes(settings.cpu)
        @tagging(who=config_expr("settings.who"))
        @step
        def start(self) -> None:
            self.next(self.end)

    settings = step_settings(Uses, "start")
    assert (settings.cpu, settings.memory_mib, settings.retry_times) == (3, 3000, 3)
    assert settings.environment == {"A": "3"}
    found = {d.name.rpartition(".")[2]: d for d in decorators_of(Uses, "start")}
    assert found["tagging"].attributes == {"who": "me"}


act: Act | None = None


def test_all_bad_values_of_expressions_are_told_together() -> None:
    class Wrong(Base):
        @resources(cpu=config_expr("settings.cpu - 10"))
        @step
        def start(self) -> None:
            self.next(self.end)

        @retry(times=config_expr("settings.nothing"))
        @step
        def end(self) -> None:
            pass

    with pytest.raises(DecoratorError) as caught:
        prepare(Wrong)
    cpu, times = str(caught.value).splitlines()
    assert "@resources: cpu=-7" in cpu
    assert "Step 'end' of flow Wrong: @retry: Config expression" in times


def test_a_bad_value_of_an_expression_names_the_step() -> None:
    class Wrong(Base):
        @resources(cpu=config_expr("settings.cpu - 10"))
        @step
        def start(self) -> None:
            self.next(self.end)

    with pytest.raises(
        DecoratorError, match=r"Step 'start' of flow Wrong \(.*:\d+\): @resources: cpu=-7"
    ):
        prepare(Wrong)
