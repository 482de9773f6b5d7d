"""What a decorator sees of the task that it acts in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowsdk.datastore import FlowDatastore
    from flowsdk.flow import FlowSpec
    from flowsdk.runtime.inputs import Inputs
    from flowsdk.spec import ErrorInfo, TaskSpec


@dataclass
class RunningTask:
    """One attempt of one task, in the process that runs it.

    Attributes:
        spec: What is run.
        flow: The ``self`` of the step.
        inputs: Of a join; None in other steps.
        store: The flow's datastore.
        lost: Set where an earlier process of this attempt has died for the last time: the step's
            code is not run then, and only ``@catch`` can still make the task succeed.
        skip: Set by a decorator that wants the step's own code not to be run.
        caught: Set by ``@catch``: the error that it has turned into a success.
    """

    spec: TaskSpec
    flow: FlowSpec
    inputs: Inputs | None
    store: FlowDatastore
    lost: ErrorInfo | None = None
    skip: bool = False
    caught: ErrorInfo | None = None

    def go_on(self, *targets: Any, **how: Any) -> None:
        """Say where the task goes, as ``self.next`` does, in place of the step's own code."""
        self.flow.next(*targets, **how)
