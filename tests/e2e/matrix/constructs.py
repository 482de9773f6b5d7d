"""The constructs of the language as blocks of steps, each of which may hold another one.

The steps note where they ran and pass on what came before, so that a task too many, one too few or one
with wrong inputs shows in the artifacts of those behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from tests.e2e.support import MAX_MAP_LENGTH
from tests.flowsdk.random_flows.shape import (
    Block,
    Foreach,
    Gang,
    Linear,
    Split,
    Step,
    Switch,
)

#: Makes a block whose steps' names begin so, around another one.
Construct = Callable[[str, Block], Block]

#: Asks for arrays; means nothing for what a flow does.
ARRAY = "batch(array=True)"
# Texts made on the spot: of equal strings in a value, the pickle tells whether they are one object.
_PLACE = "self.place = f'{current.step_name}/{current.task_id} {self.index} {self.input}'"
_TRAIL = "self.trail = [*self.trail, self.place]"


def plain(name: str, *last: str, decorators: tuple[str, ...] = ()) -> Step:
    """A step that is no join; ``last`` are further statements."""
    return Step(name, (_PLACE, _TRAIL, *last), decorators)


def _join(name: str, *differ: str) -> Step:
    """A join that inherits all but what the named artifacts hold, which differ between its inputs."""
    return Step(
        name,
        (
            _PLACE,
            "self.trail = [one.trail for one in inputs]",
            f"self.merge_artifacts(inputs, exclude={list(differ)!r})",
        ),
    )


def _or_plain(inner: Block, name: str) -> Block:
    return inner or (Linear(plain(name)),)


def split(p: str, inner: Block = ()) -> Block:
    """Two branches, in one of which the inner block is."""
    branches = (_or_plain(inner, f"{p}_left"), (Linear(plain(f"{p}_right")),))
    return (Split(plain(f"{p}_split"), branches, _join(f"{p}_join")),)


def _foreach(p: str, inner: Block, over: str, *, allow_empty: bool = False) -> Block:
    var = f"{p}_items"
    head = plain(f"{p}_fan", f"self.{var} = {over}")
    body = _or_plain(inner, f"{p}_body")
    join = _join(f"{p}_join", *_variables(body))
    return (Foreach(head, var, allow_empty, body, join),)


def foreach(p: str, inner: Block = ()) -> Block:
    """Over two items of a dict."""
    return _foreach(p, inner, "{'one': 1, 'two': 2}")


def array(p: str, inner: Block = ()) -> Block:
    """As :func:`foreach`; a step of the body asks for arrays, and so all of its steps get them."""
    first, *others = _or_plain(inner, f"{p}_body")
    head = replace(first.head, decorators=(ARRAY, *first.head.decorators))
    return _foreach(p, (replace(first, head=head), *others), "'ab'")


def chunks(p: str, inner: Block = ()) -> Block:
    """More splits than Airflow maps over in these tests: a task instance stands for two of them."""
    return _foreach(p, inner, f"range({MAX_MAP_LENGTH + 1})")


def some_empty(p: str, inner: Block = ()) -> Block:
    """Over nothing in the first split around it and outside of any, over one element in the next."""
    return _foreach(p, inner, "list(range(self.index or 0))", allow_empty=True)


def switch(p: str, inner: Block = ()) -> Block:
    """Leads to the inner block; in every other split, to a step beside it."""
    return _switch(p, inner, "'left' if not self.index else 'right'")


def switch_past(p: str, inner: Block = ()) -> Block:
    """Leads past the inner block."""
    return _switch(p, inner, "'right'")


def _switch(p: str, inner: Block, choice: str) -> Block:
    var = f"{p}_way"
    branches = (_or_plain(inner, f"{p}_left"), (Linear(plain(f"{p}_right")),))
    head = plain(f"{p}_choose", f"self.{var} = {choice}")
    return (Switch(head, var, {"left": 0, "right": 1}, branches, plain(f"{p}_meet")),)


def loop(p: str, inner: Block = ()) -> Block:
    """A step that runs twice, in every other split three times, before the inner block."""
    count, var = f"{p}_rounds", f"{p}_again"
    head = plain(
        f"{p}_spin",
        f"self.{count} = getattr(self, {count!r}, 0) + 1",
        f"self.{var} = self.{count} < 2 + (self.index or 0) % 2",
    )
    after = plain(f"{p}_out")
    return (Switch(head, var, {True: None, False: 0}, (inner,), after),)


def gang(p: str, _: Block = ()) -> Block:
    """Two nodes at once. Nothing can be inside of it."""
    var = f"{p}_size"
    head = plain(f"{p}_call", f"self.{var} = 2")
    worker = plain(f"{p}_node", decorators=("parallel",))
    return (Gang(head, var, worker, _join(f"{p}_join")),)


def _variables(block: Iterable[object]) -> Iterator[str]:
    """The artifacts that the steps of a block assign besides those that all do."""
    for element in block:
        match element:
            case Split(branches=branches):
                for branch in branches:
                    yield from _variables(branch)
            case Foreach(var=var, body=body):
                yield var
                yield from _variables(body)
            case Gang(var=var):
                yield var
            case Switch(var=var, branches=branches) as switch:
                yield var
                if switch.loops:
                    yield var.replace("_again", "_rounds")
                for branch in branches:
                    yield from _variables(branch)
