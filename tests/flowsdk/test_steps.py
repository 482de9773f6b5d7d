from __future__ import annotations

import pytest

from flowsdk import step
from flowsdk.exception import DecoratorError


def test_a_step_is_marked_and_stays_a_function() -> None:
    @step
    def fit(self: object) -> int:
        return 1

    @step(start=True, node_info={"color": "red"})
    def first(self: object) -> None: ...

    assert fit(None) == 1
    assert fit.is_step
    assert not fit.is_start_step
    assert first.is_start_step
    assert not first.is_end_step
    assert first.node_info == {"color": "red"}


@pytest.mark.parametrize("decorated", [int, "text", property(lambda self: 1)])
def test_only_functions_are_steps(decorated: object) -> None:
    with pytest.raises(DecoratorError, match="expected a method of a flow"):
        step(decorated)


def test_functions_whose_body_would_not_run_are_no_steps() -> None:
    def generator(self: object):
        yield 1

    async def coroutine(self: object) -> None: ...

    async def both(self: object):
        yield 1

    for function, what in ((generator, "generator"), (coroutine, "async"), (both, "generator")):
        with pytest.raises(DecoratorError, match=rf"test_steps\.py:\d+\), found an? {what}"):
            step(function)


def test_a_step_is_marked_once() -> None:
    with pytest.raises(DecoratorError, match=r"'fit' twice \(.*test_steps\.py:\d+\)"):

        @step
        @step
        def fit(self: object) -> None: ...
