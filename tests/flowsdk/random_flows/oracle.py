"""What a flow must do, found by carrying out its shape in plain Python.

Independent of flowsdk: the only thing shared with the flow file is the text of the step bodies, which
is executed here with stand-ins for ``self``, ``inputs`` and ``current``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from tests.flowsdk.random_flows.shape import (
    Block,
    Foreach,
    Gang,
    Linear,
    RandomFlow,
    Split,
    Step,
    Switch,
)

#: Index, number of splits and element of each foreach around a task, outermost first.
Stack = tuple[tuple[int, int, Any], ...]
#: The artifacts of a task by name.
Artifacts = dict[str, Any]
#: What every task of every flow sees, joins included.
ALWAYS = {"SCALE": 3, "power": 2}


class Own:
    """Stands in for ``self`` in a step or for one of the ``inputs``."""

    def __init__(self, artifacts: Artifacts, stack: Stack) -> None:
        self.__dict__.update(copy.deepcopy(artifacts))
        self.__dict__["#stack"] = stack

    @property
    def index(self) -> int | None:
        stack = self.__dict__["#stack"]
        return stack[-1][0] if stack else None

    @property
    def input(self) -> Any:
        stack = self.__dict__["#stack"]
        return stack[-1][2] if stack else None

    def foreach_stack(self) -> list[tuple[int, int, Any]]:
        return list(self.__dict__["#stack"])

    def merge_artifacts(
        self, inputs: Inputs, exclude: Sequence[str] = (), include: Sequence[str] = ()
    ) -> None:
        found: dict[str, list[Any]] = {}
        for one in inputs:
            for name, value in artifacts_of(one).items():
                if name not in self.__dict__ and name not in exclude:
                    found.setdefault(name, []).append(value)
        for name, values in found.items():
            if not include or name in include:
                assert len({repr(value) for value in values}) == 1, f"conflict on {name}"
                self.__dict__[name] = values[0]


class Inputs(list[Own]):
    """Stands in for the ``inputs`` of a join."""

    def __getattr__(self, step: str) -> Own:
        return next(own for own in self if own.__dict__["place"][0] == step)


def artifacts_of(own: Own) -> Artifacts:
    """What has been assigned to it."""
    return {name: value for name, value in own.__dict__.items() if name != "#stack"}


def predict(flow: RandomFlow) -> dict[str, Artifacts]:
    """The artifacts of every task that a run of the flow has, by ``step/task id``."""
    oracle = _Oracle()
    artifacts = oracle.block(flow.block, dict(ALWAYS), ())
    oracle.step(flow.end, artifacts, ())
    return oracle.tasks


class _Oracle:
    def __init__(self) -> None:
        self.tasks: dict[str, Artifacts] = {}

    def block(self, block: Block, artifacts: Artifacts, stack: Stack) -> Artifacts:
        for element in block:
            match element:
                case Linear(head):
                    artifacts = self.step(head, artifacts, stack)
                case Split():
                    artifacts = self._split(element, artifacts, stack)
                case Foreach():
                    artifacts = self._foreach(element, artifacts, stack)
                case Switch():
                    artifacts = self._switch(element, artifacts, stack)
                case Gang():
                    artifacts = self._gang(element, artifacts, stack)
        return artifacts

    def step(
        self,
        step: Step,
        artifacts: Artifacts,
        stack: Stack,
        iteration: int = 0,
        inputs: Inputs | None = None,
    ) -> Artifacts:
        """Carry out one task."""
        task = "-".join(str(index) for index, _, _ in stack) or "0"
        if iteration:
            task += f".{iteration}"
        own = Own(artifacts, stack)
        # A step that fails at first is seen here in its last attempt.
        current = SimpleNamespace(step_name=step.name, task_id=task, retry_count=1)
        exec("\n".join(step.body), {"self": own, "inputs": inputs, "current": current})
        found = artifacts_of(own)
        for name, value in found.items():
            if hasattr(value, "__next__"):  # a generator is kept as its elements
                found[name] = list(value)
        assert f"{step.name}/{task}" not in self.tasks
        self.tasks[f"{step.name}/{task}"] = copy.deepcopy(found)
        return found

    def _join(
        self, join: Step, artifacts: Artifacts, stack: Stack, inputs: Sequence[Own]
    ) -> Artifacts:
        always = {name: artifacts[name] for name in ALWAYS}
        return self.step(join, always, stack, inputs=Inputs(inputs))

    def _split(self, split: Split, artifacts: Artifacts, stack: Stack) -> Artifacts:
        artifacts = self.step(split.head, artifacts, stack)
        inputs = [Own(self.block(b, artifacts, stack), stack) for b in split.branches]
        return self._join(split.join, artifacts, stack, inputs)

    def _foreach(self, foreach: Foreach, artifacts: Artifacts, stack: Stack) -> Artifacts:
        artifacts = self.step(foreach.head, artifacts, stack)
        over = artifacts[foreach.var]
        elements = list(over.items() if isinstance(over, dict) else over)
        inputs = []
        for index, element in enumerate(elements):
            inner = (*stack, (index, len(elements), element))
            inputs.append(Own(self.block(foreach.body, artifacts, inner), inner))
        return self._join(foreach.join, artifacts, stack, inputs)

    def _switch(self, switch: Switch, artifacts: Artifacts, stack: Stack) -> Artifacts:
        iteration = 0
        while True:
            artifacts = self.step(switch.head, artifacts, stack, iteration)
            chosen = switch.cases[artifacts[switch.var]]
            if chosen is not None:
                break
            iteration += 1
        artifacts = self.block(switch.branches[chosen], artifacts, stack)
        return self.step(switch.after, artifacts, stack) if switch.after else artifacts

    def _gang(self, gang: Gang, artifacts: Artifacts, stack: Stack) -> Artifacts:
        artifacts = self.step(gang.head, artifacts, stack)
        count = artifacts[gang.var]
        inputs = []
        for index in range(count):
            inner = (*stack, (index, count, index))
            inputs.append(Own(self.step(gang.worker, artifacts, inner), inner))
        return self._join(gang.join, artifacts, stack, inputs)
