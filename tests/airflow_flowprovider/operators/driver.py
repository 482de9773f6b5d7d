"""A step's operator at work, from its launch to its end, without Airflow and AWS."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_flowprovider.operators.step import FlowStepOperator
from airflow_flowprovider.triggers.batch import BatchJobTrigger
from flowsdk import FlowSpec
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.datastore import FlowDatastore
from flowsdk.spec import TaskRef, TaskSpec
from tests.airflow_flowprovider.moved import TaskDeferred
from tests.airflow_flowprovider.operators.fakes import RUN, FakeTaskInstance, XComs, context
from tests.airflow_flowprovider.operators.flows import SampleFlow
from tests.flowsdk.aws_batch.fakes import FakeBatch

START = TaskRef("start", "0", 0)


class Driver:
    """Runs an operator against a fake AWS."""

    def __init__(self, fake: FakeBatch, store: FlowDatastore, xcoms: XComs) -> None:
        self.fake, self.store, self.xcoms = fake, store, xcoms

    def operator(
        self, step: str, retries: int = 2, flow: type[FlowSpec] = SampleFlow, **arguments: Any
    ) -> FlowStepOperator:
        made = FlowStepOperator(task_id=step, flow=flow, step=step, retries=retries, **arguments)
        jobs = BatchJobs(self.fake)
        made.__dict__["batch"] = SimpleNamespace(jobs=jobs, region="eu-west-1")
        made.__dict__["store"] = self.store
        return made

    def ti(self, step: str, map_index: int = -1, try_number: int = 1) -> FakeTaskInstance:
        return FakeTaskInstance(step, map_index, try_number, xcoms=self.xcoms)

    def execute(self, ti: FakeTaskInstance, operator: FlowStepOperator | None = None) -> Any:
        made = operator or self.operator(ti.task_id)
        return made.execute(context=context(ti, {"size": 2}))  # type: ignore[arg-type]

    def defer(self, ti: FakeTaskInstance) -> BatchJobTrigger:
        with pytest.raises(TaskDeferred) as raised:
            self.execute(ti)
        assert raised.value.method_name == "resume"
        assert raised.value.timeout is None
        assert isinstance(raised.value.trigger, BatchJobTrigger)
        return raised.value.trigger

    def resume(self, ti: FakeTaskInstance, event: dict[str, Any]) -> Any:
        ctx = context(ti)
        returned = self.operator(ti.task_id).resume(ctx, event)  # type: ignore[arg-type]
        return returned, ctx

    def spec(self, ref: TaskRef) -> TaskSpec:
        return self.store.read_spec(RUN, ref)


def event(trigger: BatchJobTrigger) -> dict[str, Any]:
    """What the trigger says when the jobs have ended."""
    return {"jobs": trigger.jobs, "next_chunk": 0, "round": trigger.round_number, "told": []}
