"""``inputs``: what a join sees of the branches that it joins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flowsdk.artifacts.scope import Scope, link_siblings
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import did_you_mean
from flowsdk.flow import FlowSpec, FlowTask
from flowsdk.spec import TaskResult


def branches(parents: Sequence[TaskResult]) -> list[TaskResult]:
    """Those of a join's parents that are inputs.

    A join that follows a foreach over nothing has none: its one parent is the step that split.
    """
    return [parent for parent in parents if parent.splits is None]


class Inputs:
    """The flow objects of a join's branches; their artifacts load when touched.

    ``for input in inputs``, ``inputs[0]``, ``len(inputs)``, and ``inputs.a`` for the branch that
    ended in step ``a`` (of a foreach, the last split).

    Args:
        flow: The flow class.
        store: The flow's datastore.
        results: The branches' results, in input order.
    """

    def __init__(
        self, flow: type[FlowSpec], store: FlowDatastore, results: Sequence[TaskResult]
    ) -> None:
        self.scopes = [Scope(store.storage, store.blobs, result.artifacts) for result in results]
        link_siblings(self.scopes)
        self._flows: list[FlowSpec] = []
        self._by_step: dict[str, FlowSpec] = {}
        for scope, result in zip(self.scopes, results, strict=True):
            branch = flow(use_cli=False)
            branch._begin(FlowTask(result.step, scope, result.foreach))
            self._flows.append(branch)
            self._by_step[result.step] = branch

    def __len__(self) -> int:
        return len(self._flows)

    def __iter__(self) -> Iterator[FlowSpec]:
        return iter(self._flows)

    def __getitem__(self, index: int) -> FlowSpec:
        return self._flows[index]

    def __getattr__(self, name: str) -> Any:
        branches = self.__dict__.get("_by_step", {})
        if name not in branches:
            raise AttributeError(
                f"No input of this join comes from step {name!r}, found "
                f"{', '.join(sorted(branches)) or 'none'}.{did_you_mean(name, branches)}"
            )
        return branches[name]
