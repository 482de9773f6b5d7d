"""Hypothesis strategies for random flows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from tests.flowsdk.random_flows.shape import (
    Block,
    Element,
    Foreach,
    Gang,
    Linear,
    RandomFlow,
    Split,
    Step,
    Switch,
    all_steps,
)

_ARTIFACTS = ("a", "b", "c")
_LITERALS = ("0", "1", "1.0", "True", "None", "''", "'é'", "(1, 'x')", "{'k': [1]}", "{1, 2}")
#: What a foreach goes over; some have as many elements as the place asks for.
_OVER = (
    "[0, None, '']",
    "('x', 'y')",
    "'ab'",
    "range(2)",
    "{'one': 1, 'two': 2}",
    "{7}",
    "(2 * n for n in range(3))",
    "[(self.index or 0, n) for n in range(1 + (self.index or 0) % 2)]",
)
_OVER_EMPTY = ("[]", "{}", "iter(())", "[n for n in range((self.index or 0) % 2)]")
_FLAKY = "retry(times=1, minutes_between_retries=0)"
_FAIL_AT_FIRST = "if not current.retry_count:\n    self.lost = 1\n    raise OSError('at first')"
_MAX_FOREACHES = 3


@dataclass
class _Maker:
    """Draws the parts of one flow.

    Attributes:
        draw: Hypothesis's.
        budget: How many more elements there may be.
        variables: What foreaches, switches and gangs look at.
    """

    draw: Callable[[st.SearchStrategy[Any]], Any]
    budget: int
    variables: list[str] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def chance(self) -> bool:
        return bool(self.draw(st.booleans()))

    def one_of(self, options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def variable(self) -> str:
        self.variables.append(f"v{next(self._numbers)}")
        return self.variables[-1]

    def step(self, *last: str, join_of: list[str] | None = None) -> Step:
        """A step whose body ends with the statements ``last``.

        ``join_of`` are the last steps of the branches it joins; empty for those of a foreach.
        """
        place = "(current.step_name, current.task_id, self.index, self.input, self.foreach_stack())"
        body = [f"self.place = {place}"]
        decorators: tuple[str, ...] = ()
        if self.draw(st.integers(0, 9)) == 9:
            decorators = (_FLAKY,)
            body.append(_FAIL_AT_FIRST)
        if join_of is None:
            body.append(
                "self.trail.append(self.place[:2])"
                if self.chance()
                else "self.trail = [*self.trail, self.place[:2]]"
            )
            body += [self._statement() for _ in range(self.draw(st.integers(0, 2)))]
        else:
            body += self._join(join_of)
        return Step(f"s{next(self._numbers)}", (*body, *last), decorators)

    def _statement(self) -> str:
        name, other = self.one_of(_ARTIFACTS), self.one_of(_ARTIFACTS)
        return self.one_of(
            (
                f"self.{name} = {self.one_of(_LITERALS)}",
                f"self.{name} = [getattr(self, {other!r}, None), self.index]",
                f"self.{name} = (self.input, self.power ** self.SCALE)",
                f"self.{name} = len(repr(getattr(self, {other!r}, None)))",
            )
        )

    def _join(self, branches: list[str]) -> list[str]:
        body = ["self.trail = [one.trail for one in inputs]"]
        if branches and self.chance():
            body.append(f"self.a = inputs.{self.one_of(branches)}.place")
        if not branches and self.chance():
            body.append(
                "self.b = [(n, inputs[n].index, inputs[n].input) for n in range(len(inputs))]"
            )
        how = self.one_of(("collect", "merge", "exclude", "include"))
        if how == "collect":
            return body
        names = [*_ARTIFACTS, *self.variables]
        # Where inputs disagree the join has to decide; it keeps all of them.
        body.append(
            f"for name in {names!r}:\n"
            f"    seen = [getattr(one, name) for one in inputs if hasattr(one, name)]\n"
            f"    if len({{repr(value) for value in seen}}) > 1 and not hasattr(self, name):\n"
            f"        setattr(self, name, seen)"
        )
        chosen = self.draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
        if how == "include":
            body.append(
                f"known = [n for n in {chosen!r} if any(hasattr(one, n) for one in inputs)]\n"
                f"self.merge_artifacts(inputs, include=known)"
            )
        elif how == "exclude":
            body.append(f"self.merge_artifacts(inputs, exclude={chosen!r})")
        else:
            body.append("self.merge_artifacts(inputs)")
        return body

    def block(self, foreaches: int = 0) -> Block:
        """One to three elements, inside so many foreaches."""
        return tuple(self.element(foreaches) for _ in range(self.draw(st.integers(1, 3))))

    def element(self, foreaches: int) -> Element:
        self.budget -= 1
        kinds = ["linear"]
        if self.budget > 0:
            kinds += ["split", "switch", "loop"]
            kinds += ["foreach", "foreach", "gang"] if foreaches < _MAX_FOREACHES else []
        kind = self.one_of(kinds)
        if kind == "split":
            return self._split(foreaches)
        if kind == "foreach":
            return self._foreach(foreaches)
        if kind == "gang":
            return self._gang()
        if kind in ("switch", "loop"):
            return self._switch(foreaches, loops=kind == "loop")
        return Linear(self.step())

    def _split(self, foreaches: int) -> Split:
        branches = tuple(self.block(foreaches) for _ in range(self.draw(st.integers(2, 3))))
        lasts = [last_step(branch) for branch in branches]
        return Split(self.step(), branches, self.step(join_of=lasts))

    def _foreach(self, foreaches: int) -> Foreach:
        var = self.variable()
        allow_empty = self.chance()
        over = self.one_of((*_OVER, *(_OVER_EMPTY if allow_empty else ())))
        head = self.step(f"self.{var} = {over}")
        return Foreach(head, var, allow_empty, self.block(foreaches + 1), self.step(join_of=[]))

    def _gang(self) -> Gang:
        var = self.variable()
        head = self.step(f"self.{var} = {self.one_of(('2', '3', '1 + (self.index or 0)'))}")
        worker = self.step()
        worker = Step(worker.name, worker.body, ("parallel", *worker.decorators))
        return Gang(head, var, worker, self.step(join_of=[]))

    def _switch(self, foreaches: int, *, loops: bool) -> Switch:
        least = 1 if loops else 2
        branches = [self.block(foreaches) for _ in range(self.draw(st.integers(least, 2)))]
        if self.chance():
            branches[-1] = ()  # this case goes on at once
        targets: list[int | None] = [None] if loops else []
        targets += range(len(branches))
        if self.chance():
            targets.append(targets[-1])  # two values lead to the same step
        values = self.one_of((("go", "stop", "on", "off"), (0, 1, 2, 3), (1.5, "x", 7, "y")))
        if len(targets) == 2 and self.chance():
            values = (True, False)
        cases = dict(zip(values, targets, strict=False))
        var, turns = self.variable(), self.variable()
        exits = [value for value, target in cases.items() if target is not None]
        chosen = f"{exits!r}[((self.index or 0) + {self.draw(st.integers(0, 2))}) % {len(exits)}]"
        last = [f"self.{var} = {chosen}"]
        if loops:
            again = self.one_of(("3", "2 + (self.index or 0) % 2"))
            last = [
                f"self.{turns} = getattr(self, {turns!r}, 0) + 1",
                f"self.{var} = {values[0]!r} if self.{turns} < {again} else {chosen}",
            ]
        return Switch(self.step(*last), var, cases, tuple(branches), self.step())


def last_step(block: Block) -> str:
    """Name of the step that a block ends with."""
    match block[-1]:
        case Linear(head):
            return head.name
        case Switch(after=Step(name)):
            return name
        case Split(join=join) | Foreach(join=join) | Gang(join=join):
            return join.name


@st.composite
def random_flows(draw: Callable[[st.SearchStrategy[Any]], Any], elements: int = 8) -> RandomFlow:
    """Flows with about so many elements at most."""
    maker = _Maker(draw, budget=draw(st.sampled_from((elements, elements // 2, 2, 0))))
    block = maker.block() if maker.budget else ()
    if block and isinstance(block[0], Switch) and block[0].loops:
        block = (Linear(maker.step()), *block)  # nothing may lead to the start
    end = maker.step()
    by_name = maker.chance()
    if block:
        first = replace(block[0], head=_as("start", block[0].head, by_name=by_name))
        block, end = (first, *block[1:]), _as("end", end, by_name=maker.chance())
    flow = _beginning(RandomFlow(block, end, (), frozenset()))
    names = tuple(all_steps(flow))
    order = draw(st.permutations(names))
    inherited = draw(st.frozensets(st.sampled_from(names))) if maker.chance() else frozenset()
    return replace(flow, order=tuple(order), inherited=inherited)


def _as(which: str, step: Step, *, by_name: bool) -> Step:
    """The step as start or end of a flow: called so, or marked so."""
    return replace(step, name=which) if by_name else replace(step, mark=f"{which}=True")


def _beginning(flow: RandomFlow) -> RandomFlow:
    """The flow with a first step that begins the trail which all others continue."""
    first = flow.block[0].head if flow.block else flow.end
    first = replace(first, body=("self.trail = []", *first.body))
    if not flow.block:
        return replace(flow, end=first)
    return replace(flow, block=(replace(flow.block[0], head=first), *flow.block[1:]))
