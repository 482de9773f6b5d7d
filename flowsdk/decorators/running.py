"""What a decorator sees of the task that it acts in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsdk.transition import implied

if TYPE_CHECKING:
    from flowsdk.datastore import FlowDatastore
    from flowsdk.flow import FlowSpec, FlowTask
    from flowsdk.graph import Node
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
        node: The step in the flow's graph.
        flow_task: What the flow object knows of its task.
        lost: Set where an earlier process of this attempt has died for the last time: the step's
            code is not run then, and only ``@catch`` can still make the task succeed.
        skip: Set by a decorator that wants the step's own code not to be run.
        code: Run in place of the step's own code, if a decorator has set it. Called as the step is,
            with the flow and, of a join, the inputs.
        caught: Set by ``@catch``: the error that it has turned into a success.
    """

    spec: TaskSpec
    flow: FlowSpec
    inputs: Inputs | None
    store: FlowDatastore
    node: Node
    flow_task: FlowTask
    lost: ErrorInfo | None = None
    skip: bool = False
    code: Callable[..., Any] | None = None
    caught: ErrorInfo | None = None

    def go_on(self, **how: Any) -> None:
        """Say where the task goes in place of the step's own code: where its source says.

        Args:
            how: Keywords of ``self.next`` that replace those in the source, e.g. another artifact
                for ``foreach``.

        Raises:
            InvalidNextException: The source does not tell enough, or does not allow these.
        """
        if self.node.next or how:
            self.flow_task.transition = implied(self.flow, self.node, how)
