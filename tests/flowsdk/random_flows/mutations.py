"""What makes a well-formed flow ill-formed, whatever its shape.

A mutation takes hypothesis's ``draw`` and the steps of a flow and changes the steps in place. It
rejects a flow that has no place for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from tests.flowsdk.random_flows.shape import JOIN, Step, StepSource

Draw = Callable[[st.SearchStrategy[Any]], Any]
Steps = dict[str, StepSource]
Mutation = Callable[[Draw, Steps], None]

_LINEAR = re.compile(r"self\.(\w+)")
_NOT_UNDERSTOOD = (
    "",
    "'{0}'",
    "{0}",
    "self.{0}, self.{0}",
    "self.{0}()",
    "self.{0}, foreach=self.power",
    "self.{0}, foreach='power', num_parallel=2",
    "self.{0}, for_each='power'",
    "self.{0}, **{{}}",
    "*[self.{0}]",
    "{{1: self.{0}}}",
    "{{1: self.{0}}}, condition='power'",
    "{{self.power: self.{0}, 2: self.{0}}}, condition='power'",
    "self.{0}, condition='power'",
)


def _one(draw: Draw, options: Iterable[Any]) -> Any:
    found = list(options)
    return draw(st.sampled_from(found)) if found else reject()


def _change(steps: Steps, name: str, /, **how: Any) -> None:
    steps[name] = replace(steps[name], **how)


def _change_step(steps: Steps, name: str, /, **how: Any) -> None:
    _change(steps, name, step=replace(steps[name].step, **how))


def _start(steps: Steps) -> str:
    """The flow's first step, which stands first before anything has been changed."""
    return next(iter(steps))


def _end(steps: Steps) -> str:
    return next(reversed(steps))


def _target(source: StepSource) -> str | None:
    """The step that follows if there is exactly one and no keyword."""
    match = _LINEAR.fullmatch(source.goes or "")
    return match[1] if match else None


def _joined(steps: Steps) -> list[str]:
    """The steps that go straight to a join."""
    return [n for n, s in steps.items() if (t := _target(s)) and steps[t].arguments == JOIN]


def _reached(steps: Steps, name: str) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        for target in _LINEAR.findall(steps[todo.pop()].goes or ""):
            if target in steps and target not in found:
                found.add(target)
                todo.append(target)
    return found


def no_next(draw: Draw, steps: Steps) -> None:
    _change(steps, _one(draw, [n for n in steps if n != _end(steps)]), goes=None)


def next_in_a_condition(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n in steps if n != _end(steps)])
    call = f"if self.power:\n    self.next({steps[name].goes})"
    _change_step(steps, name, body=(*steps[name].step.body, call))
    _change(steps, name, goes=None)


def next_before_the_last_statement(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n in steps if n != _end(steps)])
    call = f"self.next({steps[name].goes})\nself.late = 1"
    _change_step(steps, name, body=(*steps[name].step.body, call))
    _change(steps, name, goes=None)


def next_not_understood(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n in steps if n != _end(steps)])
    target = _LINEAR.findall(steps[name].goes or "")[0]
    _change(steps, name, goes=_one(draw, _NOT_UNDERSTOOD).format(target))


def unknown_target(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n in steps if n != _end(steps)])
    _change(steps, name, goes=_LINEAR.sub("self.nowhere", steps[name].goes or "", count=1))


def missing_step(draw: Draw, steps: Steps) -> None:
    del steps[_one(draw, steps)]
    if len(steps) < 2:
        reject()  # what is left of two steps is a flow of a single one


def back_to_the_start(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n, s in steps.items() if _target(s)])
    _change(steps, name, goes=f"self.{_start(steps)}")


def back_to_itself(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n, s in steps.items() if _target(s)])
    _change(steps, name, goes=f"self.{name}")


def back_to_an_earlier_step(draw: Draw, steps: Steps) -> None:
    earlier = _one(draw, [n for n in steps if n != _start(steps)])
    later = _one(draw, [n for n in _reached(steps, earlier) if _target(steps[n])])
    _change(steps, later, goes=f"self.{earlier}")


def out_of_a_branch(draw: Draw, steps: Steps) -> None:
    _change(steps, _one(draw, _joined(steps)), goes=f"self.{_end(steps)}")


def join_without_inputs(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n, s in steps.items() if s.arguments == JOIN])
    _change(steps, name, arguments="self")


def inputs_without_a_join(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n, s in steps.items() if s.arguments != JOIN])
    _change(steps, name, arguments=JOIN)


def wrong_arguments(draw: Draw, steps: Steps) -> None:
    name = _one(draw, steps)
    _change(steps, name, arguments=_one(draw, ("", "self, inputs, more")))


def join_that_splits(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n, s in steps.items() if s.arguments == JOIN])
    _change(steps, name, goes=f'{steps[name].goes}, foreach="trail"')


def switch_to_a_join(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n in _joined(steps) if n != _start(steps)])
    _change(steps, name, goes=f'{{2: {steps[name].goes}, 3: self.{name}}}, condition="power"')


def end_that_goes_on(draw: Draw, steps: Steps) -> None:
    _change(steps, _end(steps), goes=f"self.{_one(draw, steps)}")


def island(draw: Draw, steps: Steps) -> None:
    end = steps.pop(_end(steps))
    steps["island"] = StepSource(Step("island", ()), f"self.{end.step.name}")
    steps[end.step.name] = end


def second_start(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n in steps if n not in (_start(steps), _end(steps))])
    _change_step(steps, name, mark="start=True")


def second_end(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n in steps if n not in (_start(steps), _end(steps))])
    _change_step(steps, name, mark="end=True")


def bad_name(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n in steps if re.fullmatch(r"s\d+", n)])
    bad = _one(draw, ("_hidden", "Capital", "ümlaut", "name", "next", "input", "index", "cmd"))
    for other, source in list(steps.items()):
        _change(
            steps,
            other,
            goes=source.goes and re.sub(rf"\bself\.{name}\b", f"self.{bad}", source.goes),
        )
    _change_step(steps, name, name=bad)


def gang_without_parallel(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n, s in steps.items() if "parallel" in s.step.decorators])
    _change_step(steps, name, decorators=())


def parallel_without_a_gang(draw: Draw, steps: Steps) -> None:
    name = _one(draw, [n for n, s in steps.items() if "parallel" not in s.step.decorators])
    _change_step(steps, name, decorators=("parallel",))


MUTATIONS: tuple[Mutation, ...] = (
    no_next,
    next_in_a_condition,
    next_before_the_last_statement,
    next_not_understood,
    unknown_target,
    missing_step,
    back_to_the_start,
    back_to_itself,
    back_to_an_earlier_step,
    out_of_a_branch,
    join_without_inputs,
    inputs_without_a_join,
    wrong_arguments,
    join_that_splits,
    switch_to_a_join,
    end_that_goes_on,
    island,
    second_start,
    second_end,
    bad_name,
    gang_without_parallel,
    parallel_without_a_gang,
)
