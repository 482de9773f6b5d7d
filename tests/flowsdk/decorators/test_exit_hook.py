from __future__ import annotations

from typing import Any

import pytest

from flowsdk import FlowSpec, exit_hook
from flowsdk.decorators.prepare import flow_decorators
from flowsdk.exception import DecoratorError


def hook() -> None: ...


def test_a_flow_may_have_several_and_inherits_those_of_its_bases() -> None:
    @exit_hook(on_success=[hook])
    class Base(FlowSpec): ...

    @exit_hook(on_error=[hook, print], options={"a": 1})
    @exit_hook(on_success=[print])
    class Derived(Base): ...

    found = [decorator.attributes for decorator in flow_decorators(Derived, "exit_hook")]
    assert [(a["on_success"], a["on_error"]) for a in found] == [
        ((), (hook, print)),
        ((print,), ()),
        ((hook,), ()),
    ]
    assert len(flow_decorators(Base, "exit_hook")) == 1


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "found no hook"),
        ({"on_success": hook}, "expected a list of functions"),
        ({"on_error": ["name"]}, "on_error has 'name', expected a function"),
        ({"on_error": [hook], "options": 3}, "options=3, expected a dict"),
        ({"on_succes": [hook]}, "Did you mean 'on_success'"),
    ],
)
def test_wrong_hooks_are_refused(attributes: Any, message: str) -> None:
    with pytest.raises(DecoratorError, match=message):
        exit_hook(**attributes)
