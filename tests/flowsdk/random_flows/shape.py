"""The shape of a random flow: nested blocks, so that it is well formed by construction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """One step: the statements of its body without ``self.next``, its decorators and its mark."""

    name: str
    body: tuple[str, ...]
    decorators: tuple[str, ...] = ()
    mark: str = ""


@dataclass(frozen=True)
class Linear:
    """A step and nothing else."""

    head: Step


@dataclass(frozen=True)
class Split:
    """All branches, then a join."""

    head: Step
    branches: tuple[Block, ...]
    join: Step


@dataclass(frozen=True)
class Foreach:
    """The body once for each element of ``self.<var>``, which the head's body assigns."""

    head: Step
    var: str
    allow_empty: bool
    body: Block
    join: Step


@dataclass(frozen=True)
class Switch:
    """One of several branches, by the value of ``self.<var>``; an empty one goes on at once.

    ``cases`` gives the number of a branch for each value, None for the head itself. Without a step
    ``after``, the branches go straight to what follows; then none may be empty.
    """

    head: Step
    var: str
    cases: dict[Any, int | None] = field(hash=False)
    branches: tuple[Block, ...]
    after: Step | None

    @property
    def loops(self) -> bool:
        return None in self.cases.values()


@dataclass(frozen=True)
class Gang:
    """As many workers at once as ``self.<var>`` says, which the head's body assigns."""

    head: Step
    var: str
    worker: Step
    join: Step


Element = Linear | Split | Foreach | Switch | Gang
Block = tuple[Element, ...]


@dataclass(frozen=True, repr=False)
class RandomFlow:
    """A whole flow: ``block`` and a last step after it; where each step is written down.

    Attributes:
        block: Everything before the last step; empty in a flow of a single step.
        end: The last step.
        order: The steps in the order of their definition.
        inherited: Those that stand in a base class.
        name: Of the class.
    """

    block: Block
    end: Step
    order: tuple[str, ...]
    inherited: frozenset[str]
    name: str = "Random"

    def __repr__(self) -> str:
        return f"a flow:\n{source_of(self)}"


JOIN = "self, inputs"


@dataclass(frozen=True)
class StepSource:
    """A step as it is written into a flow file; ``goes`` is None in the last step."""

    step: Step
    goes: str | None
    arguments: str = "self"


def steps_of(block: Block, follow: str) -> Iterator[StepSource]:
    """The steps of a block that is followed by step ``follow``, with their transitions."""
    thens = [*(element.head.name for element in block[1:]), follow]
    for element, then in zip(block, thens, strict=False):  # an empty block has neither
        match element:
            case Linear(head):
                yield StepSource(head, f"self.{then}")
            case Split(head, branches, join):
                yield StepSource(head, ", ".join(f"self.{b[0].head.name}" for b in branches))
                for branch in branches:
                    yield from steps_of(branch, join.name)
                yield StepSource(join, f"self.{then}", JOIN)
            case Foreach(head, var, allow_empty, body, join):
                extra = ", allow_empty=True" if allow_empty else ""
                yield StepSource(head, f'self.{body[0].head.name}, foreach="{var}"{extra}')
                yield from steps_of(body, join.name)
                yield StepSource(join, f"self.{then}", JOIN)
            case Switch(head, var, cases, branches, after):
                meet = after.name if after else then
                firsts = [(*(e.head.name for e in b), meet)[0] for b in branches]
                names = {k: head.name if n is None else firsts[n] for k, n in cases.items()}
                pairs = ", ".join(f"{key!r}: self.{name}" for key, name in names.items())
                yield StepSource(head, f'{{{pairs}}}, condition="{var}"')
                for branch in branches:
                    yield from steps_of(branch, meet)
                if after:
                    yield StepSource(after, f"self.{then}")
            case Gang(head, var, worker, join):
                yield StepSource(head, f"self.{worker.name}, num_parallel=self.{var}")
                yield StepSource(worker, f"self.{join.name}")
                yield StepSource(join, f"self.{then}", JOIN)


def all_steps(flow: RandomFlow) -> dict[str, StepSource]:
    """Every step of a flow, by name."""
    found = [*steps_of(flow.block, flow.end.name), StepSource(flow.end, None)]
    return {source.step.name: source for source in found}


def source_of(flow: RandomFlow, steps: dict[str, StepSource] | None = None) -> str:
    """The flow file. ``steps`` may say otherwise than the flow's shape does."""
    steps = all_steps(flow) if steps is None else steps
    order = [name for name in flow.order if name in steps]
    order += [name for name in steps if name not in order]
    base = [name for name in order if name in flow.inherited]
    own = [name for name in order if name not in flow.inherited]
    lines = [
        "from flowsdk import FlowSpec, Parameter, batch, current, parallel, retry, step",
        "",
        "",
    ]
    lines += ["class Base(FlowSpec):", "    SCALE = 3", '    power = Parameter("power", default=2)']
    for name in base:
        lines += _method(steps[name])
    lines += ["", "", f"class {flow.name}(Base):", '    """Made for a test."""']
    for name in own:
        lines += _method(steps[name])
    lines += ["", "", 'if __name__ == "__main__":', f"    {flow.name}()", ""]
    return "\n".join(lines)


def _method(source: StepSource) -> list[str]:
    lines = ["", *(f"    @{decorator}" for decorator in source.step.decorators)]
    lines.append(f"    @step({source.step.mark})" if source.step.mark else "    @step")
    lines.append(f"    def {source.step.name}({source.arguments}):")
    body = "\n".join(source.step.body).splitlines()
    if source.goes is not None:
        body.append(f"self.next({source.goes})")
    return lines + [f"        {line}" for line in body or ["pass"]]
