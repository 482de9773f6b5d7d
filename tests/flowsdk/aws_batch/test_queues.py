from __future__ import annotations

from typing import Any

from flowsdk.aws_batch.queues import queue_in_words
from tests.flowsdk.aws_batch.fakes import FakeBatch

FULL = {
    "state": "ENABLED",
    "status": "INVALID",
    "statusReason": "CLIENT_ERROR - not authorized",
    "computeResources": {"type": "SPOT", "maxvCpus": 16, "desiredvCpus": 4},
}


class TwoEnvironments(FakeBatch):
    """A queue in front of two environments, which AWS does not name in their order."""

    def describe_job_queues(self, **request: Any) -> dict[str, Any]:
        order = [{"order": 2, "computeEnvironment": "b"}, {"order": 1, "computeEnvironment": "a"}]
        (queue,) = super().describe_job_queues(**request)["jobQueues"]
        return {"jobQueues": [{**queue, "computeEnvironmentOrder": order}]}

    def describe_compute_environments(self, **request: Any) -> dict[str, Any]:
        assert request["computeEnvironments"] == ["a", "b"]
        found = [{"computeEnvironmentName": "b", "state": "DISABLED"}]
        return {"computeEnvironments": [*found, {"computeEnvironmentName": "a", **FULL}]}


def test_all_that_can_keep_a_job_waiting() -> None:
    fake = TwoEnvironments()
    fake.queues = [{"jobQueueName": "q", "state": "ENABLED", "status": "VALID"}]
    assert queue_in_words(fake, "q") == (
        "ENABLED, VALID; compute environment a: ENABLED, INVALID, CLIENT_ERROR - not authorized, "
        "SPOT, at most 16 vCPU, now 4; compute environment b: DISABLED"
    )


def test_a_queue_that_is_not_there() -> None:
    assert queue_in_words(FakeBatch(), "gone") == "not found"
