"""An AWS Batch in memory whose requests are checked against AWS's own service model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import botocore.session
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.validate import ParamValidator

from flowsdk.datastore import FlowDatastore
from flowsdk.spec import TaskResult, TaskSpec

#: What ListJobs says of a container.
_SUMMARY = {"exitCode", "reason"}
TIME = "2026-11-21T09:00:00+00:00"


@lru_cache
def service_model() -> Any:
    return botocore.session.Session().get_service_model("batch")


def check_request(operation: str, request: dict[str, Any]) -> None:
    """Fail if AWS does not know what is in a request."""
    shape = service_model().operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


def client_error(operation: str, code: str, message: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


class FakeBatch:
    """The operations of a boto3 client that flowsdk uses. Jobs change only when a test says so."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.queues = [{"jobQueueName": "q", "state": "ENABLED", "status": "VALID"}]
        self.platform = "EC2"
        self.environment: dict[str, Any] = {}
        self.calls: Counter[str] = Counter()
        self.errors: dict[str, list[Exception]] = {}
        self.lost: list[str] = []
        self.on_describe: Callable[[], None] = lambda: None

    def fail(self, operation: str, code: str, message: str = "no") -> None:
        """Let the next call of an operation fail."""
        self.errors.setdefault(operation, []).append(client_error(operation, code, message))

    def lose_answer(self, operation: str) -> None:
        """Let the next call of an operation be carried out, and its answer not arrive."""
        self.lost.append(operation)

    def change(self, job_id: str, status: str, **fields: Any) -> None:
        """Give a job another state; ``container`` is merged."""
        container = {**self.jobs[job_id]["container"], **fields.pop("container", {})}
        self.jobs[job_id].update(status=status, container=container, **fields)

    def names(self) -> list[str]:
        return [job["jobName"] for job in self.jobs.values()]

    def submit_job(self, **request: Any) -> dict[str, Any]:
        self._called("SubmitJob", request)
        if request["jobDefinition"] not in self.definitions:
            message = f"JobDefinition name {request['jobDefinition']} does not exist."
            raise client_error("SubmitJob", "ClientException", message)
        job_id = f"job-{len(self.jobs)}"
        self.jobs[job_id] = {
            "jobId": job_id,
            "jobName": request["jobName"],
            "jobQueue": f"arn:aws:batch:r:1:job-queue/{request['jobQueue']}",
            "status": "RUNNABLE",
            "createdAt": 1000 + len(self.jobs),
            "container": {"resourceRequirements": _overrides(request)["resourceRequirements"]},
            "tags": request.get("tags", {}),
            "request": request,
        }
        if "SubmitJob" in self.lost:
            self.lost.remove("SubmitJob")
            raise ConnectionClosedError(endpoint_url="https://batch")
        return {"jobId": job_id, "jobName": request["jobName"]}

    def register_job_definition(self, **request: Any) -> dict[str, Any]:
        self._called("RegisterJobDefinition", request)
        self.definitions[request["jobDefinitionName"]] = request
        return {}

    def describe_jobs(self, **request: Any) -> dict[str, Any]:
        self._called("DescribeJobs", request)
        assert len(request["jobs"]) <= 100
        self.on_describe()
        return {"jobs": [self.jobs[job] for job in request["jobs"] if job in self.jobs]}

    def list_jobs(self, **request: Any) -> dict[str, Any]:
        """The children of an array, which are jobs like ``<id>:3``."""
        self._called("ListJobs", request)
        children = [
            {**job, "container": {k: v for k, v in job["container"].items() if k in _SUMMARY}}
            for job_id, job in self.jobs.items()
            if job_id.startswith(f"{request['arrayJobId']}:")
            and job["status"] == request["jobStatus"]
        ]
        return {"jobSummaryList": children}

    def terminate_job(self, **request: Any) -> None:
        self._called("TerminateJob", request)
        self.jobs[request["jobId"]]["isTerminated"] = True

    def describe_job_queues(self, **request: Any) -> dict[str, Any]:
        self._called("DescribeJobQueues", request)
        wanted = request.get("jobQueues")
        order = [{"order": 1, "computeEnvironment": "e"}]
        queues = [{**queue, "computeEnvironmentOrder": order} for queue in self.queues]
        return {"jobQueues": [q for q in queues if not wanted or q["jobQueueName"] in wanted]}

    def describe_compute_environments(self, **request: Any) -> dict[str, Any]:
        self._called("DescribeComputeEnvironments", request)
        environment = {
            "computeEnvironmentName": "e",
            "computeResources": {"type": self.platform},
            **self.environment,
        }
        return {"computeEnvironments": [environment]}

    def get_paginator(self, operation: str) -> Any:
        return _Paginator(self, operation)

    def _list_jobs(self, **request: Any) -> Iterator[dict[str, Any]]:
        self._called("ListJobs", request)
        prefix = request["filters"][0]["values"][0].removesuffix("*").lower()
        for job in self.jobs.values():
            if job["jobName"].lower().startswith(prefix):
                summary = {"jobId", "jobName", "status", "createdAt"}
                yield {"jobSummaryList": [{k: v for k, v in job.items() if k in summary}]}

    def _called(self, operation: str, request: dict[str, Any]) -> None:
        check_request(operation, request)
        self.calls[operation] += 1
        if self.errors.get(operation):
            raise self.errors[operation].pop(0)


def _overrides(request: dict[str, Any]) -> dict[str, Any]:
    """Those of a container, or of the containers of all nodes."""
    if "containerOverrides" in request:
        return dict(request["containerOverrides"])
    (nodes,) = request["nodeOverrides"]["nodePropertyOverrides"]
    return dict(nodes["containerOverrides"])


class _Paginator:
    def __init__(self, fake: FakeBatch, operation: str) -> None:
        self._fake = fake
        self._operation = operation

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        if self._operation == "list_jobs":
            return self._fake._list_jobs(**request)
        return iter([self._fake.describe_job_queues(**request)])


def succeed(store: FlowDatastore, spec: TaskSpec, **fields: Any) -> TaskResult:
    """Store what a successful attempt leaves."""
    return commit(store, spec, status="succeeded", **fields)


def commit(store: FlowDatastore, spec: TaskSpec, **fields: Any) -> TaskResult:
    """Store a result of an attempt."""
    result = TaskResult(
        flow=spec.flow,
        run=spec.run,
        step=spec.step,
        task=spec.task,
        attempt=spec.attempt,
        started_at=TIME,
        finished_at=TIME,
        foreach=spec.foreach,
        code=spec.code,
        **fields,
    )
    assert store.write_result(result)
    return result
