"""The flows of the matrix: every construct around and before every other one, and what else there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.e2e.matrix import constructs as c
from tests.flowsdk.random_flows.shape import (
    Block,
    Foreach,
    Linear,
    RandomFlow,
    Switch,
)

OUTER = (c.split, c.foreach, c.array, c.switch, c.switch_past, c.loop, c.some_empty)
INNER = (c.split, c.foreach, c.switch, c.loop, c.some_empty, c.gang)
_BEGIN = "self.trail = []"
_RETRY = "retry(times=1, minutes_between_retries=0)"
_FAIL_AT_FIRST = "if self.index == 1 and not current.retry_count:\n    raise OSError('at first')"


def cases() -> Iterator[RandomFlow]:
    """All flows; their names say what is in them."""
    for outer in OUTER:
        for inner in INNER:
            yield _flow(f"{_camel(outer)}Of{_camel(inner)}", outer("outer", inner("inner")))
    yield _flow("SingleStep", ())
    yield _flow("ThreeForeaches", c.foreach("a", c.foreach("b", c.foreach("c"))))
    yield _flow("ChunksOfSwitch", c.chunks("outer", c.switch("inner")))
    yield _flow("ChunksOfForeach", c.chunks("outer", c.foreach("inner")))
    yield _flow("SwitchThenForeach", (*c.switch("a"), *c.foreach("b")))
    yield _flow("LoopThenForeach", (*c.loop("a"), *c.foreach("b")))
    yield _flow("ForeachThenArray", (*c.foreach("a"), *c.array("b")))
    yield _flow("SwitchToTheJoin", c.foreach("outer", _without_meeting(c.switch("inner"))))
    yield _flow("SwitchToTheSplitsJoin", c.split("outer", _without_meeting(c.switch("inner"))))
    yield _flow("RetriesInSets", c.foreach("outer", _failing_at_first(c.foreach("inner"))))
    yield _flow("RetriesInArray", c.array("outer", _failing_at_first(c.foreach("inner"))))


def _camel(construct: c.Construct) -> str:
    return "".join(word.title() for word in construct.__name__.split("_"))


def _flow(name: str, block: Block) -> RandomFlow:
    """The flow of a block: its first step is the flow's, unless that one loops."""
    end = c.plain("end")
    if not block:
        end = replace(end, name="start", mark="end=True", body=(_BEGIN, *end.body))
    elif isinstance(block[0], Switch) and block[0].loops:
        block = (Linear(c.plain("start")), *block)
    if block:
        first, *others = block
        head = replace(first.head, name="start", body=(_BEGIN, *first.head.body))
        block = (replace(first, head=head), *others)
    # The end is in a base class, as what several flows of a team share.
    return RandomFlow(block, end, (), frozenset({end.name}), f"Matrix{name}")


def _without_meeting(block: Block) -> Block:
    """A switch whose ways lead straight to the join behind it."""
    (element,) = block
    assert isinstance(element, Switch)
    return (replace(element, after=None),)


def _failing_at_first(block: Block) -> Block:
    """A foreach of whose tasks some fail in their first attempt."""
    (element,) = block
    assert isinstance(element, Foreach)
    first, *others = element.body
    body = (_FAIL_AT_FIRST, *first.head.body)
    head = replace(first.head, body=body, decorators=(_RETRY, *first.head.decorators))
    return (replace(element, body=(replace(first, head=head), *others)),)
