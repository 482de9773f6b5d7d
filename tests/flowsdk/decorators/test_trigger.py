from __future__ import annotations

from typing import Any

import pytest

from flowsdk import (
    Config,
    FlowSpec,
    Parameter,
    config_expr,
    current,
    namespaced_event_name,
    trigger,
    trigger_on_finish,
)
from flowsdk.decorators.project import ProjectSettings
from flowsdk.decorators.trigger import EventTrigger, Triggers, triggers_of
from flowsdk.exception import DecoratorError

PROJECT = ProjectSettings("demo", "test.x")


def flow_with(*decorators: Any) -> type[FlowSpec]:
    members = {"__module__": __name__, "a": Parameter("a"), "b": Parameter("b", default=1)}
    flow = type("Flow", (FlowSpec,), members)
    for decorator in decorators:
        flow = decorator(flow)
    return flow


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"event": "x"}, [EventTrigger("x", {})]),
        ({"events": ["x", "y"]}, [EventTrigger("x", {}), EventTrigger("y", {})]),
        ({"event": {"name": "x", "parameters": {"a": "f"}}}, [EventTrigger("x", {"a": "f"})]),
        ({"event": {"name": "x", "parameters": ["a", ("b", "f")]}},
         [EventTrigger("x", {"a": "a", "b": "f"})]),
        ({"event": namespaced_event_name("x")}, [EventTrigger("mfns.demo.test.x.x", {})]),
        ({"event": {"name": namespaced_event_name("x")}}, [EventTrigger("mfns.demo.test.x.x", {})]),
        ({"event": lambda context: context.flow_name}, [EventTrigger("Flow", {})]),
        ({"event": {"name": lambda context: "x", "parameters": lambda context: ["a"]}},
         [EventTrigger("x", {"a": "a"})]),
        ({"event": lambda _: f"{current.branch_name}.{current.flow_name}"},
         [EventTrigger("test.x.Flow", {})]),
        ({"events": lambda context: ["x", {"name": "y"}]},
         [EventTrigger("x", {}), EventTrigger("y", {})]),
    ],
)  # fmt: skip
def test_events(attributes: Any, expected: list[EventTrigger]) -> None:
    flow = flow_with(trigger(**attributes))
    assert triggers_of(flow, PROJECT) == Triggers(events=tuple(expected))


def test_a_namespaced_name_without_a_project() -> None:
    flow = flow_with(trigger(event=namespaced_event_name("x")))
    assert triggers_of(flow, None).events[0].name == "mfns.x"
    assert namespaced_event_name("x")() == "mfns.x"


@pytest.mark.parametrize(
    ("attributes", "project", "expected"),
    [
        ({"flow": "A"}, None, ["A"]),
        ({"flow": "A"}, PROJECT, ["demo.test.x.A"]),
        ({"flows": ["A", "p.prod.B"]}, PROJECT, ["demo.test.x.A", "p.prod.B"]),
        ({"flow": "p.test.y.B"}, None, ["p.test.y.B"]),
        ({"flow": {"name": "A", "project": "p"}}, PROJECT, ["p.test.x.A"]),
        ({"flow": {"name": "A", "project_branch": "prod"}}, PROJECT, ["demo.prod.A"]),
        ({"flow": {"name": "A", "project": "p", "project_branch": "prod"}}, None, ["p.prod.A"]),
        ({"flow": lambda context: "A"}, None, ["A"]),
        ({"flows": lambda context: ["A", "B"]}, None, ["A", "B"]),
    ],
)
def test_flows(attributes: Any, project: ProjectSettings | None, expected: list[str]) -> None:
    flow = flow_with(trigger_on_finish(**attributes))
    assert triggers_of(flow, project) == Triggers(flows=tuple(expected))


def test_a_function_may_return_expressions_of_configs() -> None:
    members = {"__module__": __name__, "config": Config("config", default_value={"x": "y"})}
    flow = trigger(event=lambda _: {"name": config_expr("config.x + '.done'")})(
        type("Flow", (FlowSpec,), members)
    )
    assert triggers_of(flow, None).events == (EventTrigger("y.done", {}),)


def test_both_together_and_neither() -> None:
    flow = flow_with(trigger(event="x"), trigger_on_finish(flow="A"))
    assert triggers_of(flow, None) == Triggers((EventTrigger("x", {}),), ("A",))
    assert triggers_of(flow_with(), None) == Triggers()


@pytest.mark.parametrize(
    ("decorator", "attributes", "message"),
    [
        (trigger, {}, "found neither of event and events"),
        (trigger, {"event": "x", "events": ["y"]}, "found both of event and events"),
        (trigger, {"events": "x"}, "events='x', expected a list"),
        (trigger, {"event": 7}, "found 7, expected a name or"),
        (trigger, {"event": {"parameters": {}}}, "has no name"),
        (trigger, {"event": {"name": "x", "parametres": {}}}, "Did you mean 'parameters'"),
        (trigger, {"event": {"name": 7}}, "has the name 7"),
        (trigger, {"event": {"name": "x", "parameters": {"a": 1}}}, r"expected \{parameter: field\}"),
        (trigger, {"event": {"name": "x", "parameters": "a"}}, r"expected \{parameter: field\}"),
        (trigger, {"events": ["x", "x"]}, "found 'x' twice"),
        (trigger, {"event": "x", "options": 1}, "options=1, expected a dict"),
        (trigger, {"evnt": "x"}, "Did you mean 'event'"),
        (trigger_on_finish, {"flow": "a.B"}, "expected 'Flow' or 'project.branch.Flow'"),
        (trigger_on_finish, {"flow": "A-B"}, "expected 'Flow' or"),
        (trigger_on_finish, {"flow": 7}, "found 7, expected a name or"),
        (trigger_on_finish, {"flow": {"name": "a.B"}}, "expected one of a flow"),
        (trigger_on_finish, {"flow": {"name": "A", "branch": "x"}}, "has 'branch', expected"),
        (trigger_on_finish, {"flow": {"name": "A", "project": 1}}, "project=1, expected a text"),
        (trigger_on_finish, {"flows": ["A", "A"]}, "found 'A' twice"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_when_the_flow_is_defined(
    decorator: Any, attributes: Any, message: str
) -> None:
    with pytest.raises(DecoratorError, match=message):
        decorator(**attributes)


@pytest.mark.parametrize(
    ("decorator", "message"),
    [
        (trigger(event={"name": "x", "parameters": ["aa"]}), "none of that name. Did you mean 'a'"),
        (trigger(event=lambda context: 1 / 0), "a function failed with ZeroDivisionError"),
        (trigger(event={"name": lambda context: 7}), "the name of an event is 7"),
        (trigger(events=lambda context: []), "waits for nothing"),
        (trigger(events=lambda context: ["x", "x"]), "waits for the same thing twice"),
        (trigger_on_finish(flow=lambda context: "a.b"), "expected 'Flow' or"),
        (trigger_on_finish(flow={"name": "A", "project": "p"}), "Name both"),
    ],
)
def test_what_shows_only_when_the_flow_is_deployed(decorator: Any, message: str) -> None:
    with pytest.raises(DecoratorError, match=message):
        triggers_of(flow_with(decorator), None)
