"""The requests to AWS Batch that launching and watching jobs takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from flowsdk.aws_batch.definition import Platform
from flowsdk.aws_batch.state import JobState
from flowsdk.exception import BatchError

#: Of DescribeJobs. https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html
MAX_DESCRIBED = 100
#: Of TerminateJob's reason, in characters.
_MAX_REASON = 1024
#: The service's words for a definition that is missing have changed over the years; all name it.
_DEFINITION = "jobdefinition"


class BatchThrottled(BatchError):
    """AWS Batch asks for fewer requests."""


class BatchJobs:
    """Jobs of one account and region.

    Purpose:
        Few requests: nothing is asked that an error would not say anyway.
    What it does not do:
        It keeps no state of jobs and starts no threads; safe to share between threads.

    Args:
        client: A boto3 Batch client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._platforms: dict[str, Platform] = {}

    def submit(self, request: Mapping[str, Any], definition: Mapping[str, Any]) -> str:
        """Submit a job; returns its id.

        The job definition is registered only if AWS says that there is none: its name holds a
        fingerprint, so there is one after the first job of its kind.

        Args:
            request: Of SubmitJob, naming ``definition``.
            definition: Of RegisterJobDefinition.

        Raises:
            BatchError: AWS refuses the job or the definition.
        """
        try:
            return self._submit(request)
        except BatchError as error:
            if _DEFINITION not in str(error).replace(" ", "").lower():
                raise
        with _translated("RegisterJobDefinition"):
            self._client.register_job_definition(**definition)
        return self._submit(request)

    def find(self, queue: str, prefix: str) -> list[JobState]:
        """The jobs of a queue whose names begin with ``prefix``, in any state, newest first."""
        filters = [{"name": "JOB_NAME", "values": [f"{prefix}*"]}]
        with _translated("ListJobs"):
            pages = self._client.get_paginator("list_jobs").paginate(
                jobQueue=queue, filters=filters
            )
            found = [JobState.of(job) for page in pages for job in page["jobSummaryList"]]
        # AWS compares names without regard to case.
        ours = [state for state in found if state.name.startswith(prefix)]
        return sorted(ours, key=lambda state: -(state.created_at or 0))

    def describe(self, ids: Iterable[str]) -> dict[str, JobState]:
        """The state of each job that AWS knows, by id; one request for each hundred."""
        found: dict[str, JobState] = {}
        for some in in_requests(ids):
            with _translated("DescribeJobs"):
                for job in self._client.describe_jobs(jobs=some)["jobs"]:
                    found[job["jobId"]] = JobState.of(job)
        return found

    def terminate(self, job_id: str, reason: str) -> None:
        """End a job in whatever state it is; nothing happens to a finished one."""
        with _translated("TerminateJob"):
            self._client.terminate_job(jobId=job_id, reason=reason[:_MAX_REASON])

    def first_enabled_queue(self) -> str:
        """Name of the account's first job queue that takes jobs.

        Raises:
            BatchError: There is none.
        """
        with _translated("DescribeJobQueues"):
            pages = self._client.get_paginator("describe_job_queues").paginate()
            queues = [queue for page in pages for queue in page["jobQueues"]]
        enabled = sorted(q["jobQueueName"] for q in queues if q["state"] == "ENABLED")
        if not enabled:
            raise BatchError(
                f"Job queue: found {len(queues)} in this account and region, none of them enabled, "
                f"expected one. Create one, or correct the credentials and the region."
            )
        return str(enabled[0])

    def describe_queue(self, queue: str) -> str:
        """The state of a job queue in a few words, for people who wait for a job."""
        with _translated("DescribeJobQueues"):
            found = self._client.describe_job_queues(jobQueues=[queue])["jobQueues"]
        if not found:
            return "not found"
        described = found[0]
        words = [described["state"], described.get("status", ""), described.get("statusReason", "")]
        return ", ".join(word for word in words if word)

    def platform(self, queue: str) -> Platform:
        """What the jobs of a queue run on; asked once for each queue."""
        if queue not in self._platforms:
            with _translated("DescribeComputeEnvironments"):
                self._platforms[queue] = self._ask_platform(queue)
        return self._platforms[queue]

    def _submit(self, request: Mapping[str, Any]) -> str:
        with _translated("SubmitJob"):
            return str(self._client.submit_job(**request)["jobId"])

    def _ask_platform(self, queue: str) -> Platform:
        queues = self._client.describe_job_queues(jobQueues=[queue])["jobQueues"]
        order = queues[0].get("computeEnvironmentOrder") if queues else None
        if not order:
            return "EC2"
        environments = self._client.describe_compute_environments(
            computeEnvironments=[order[0]["computeEnvironment"]]
        )["computeEnvironments"]
        resources = (environments[0].get("computeResources") or {}) if environments else {}
        return "FARGATE" if str(resources.get("type", "")).startswith("FARGATE") else "EC2"


def in_requests(ids: Iterable[str]) -> Iterator[list[str]]:
    """Distinct ids, in lists that one DescribeJobs may ask for."""
    distinct = list(dict.fromkeys(ids))
    for start in range(0, len(distinct), MAX_DESCRIBED):
        yield distinct[start : start + MAX_DESCRIBED]


class _translated:  # noqa: N801  # reads as the verb it is: `with _translated("SubmitJob"):`
    """Turns botocore's errors into ours."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            return
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            detail = error.response.get("Error", {})
            code = str(detail.get("Code", ""))
            throttled = "TooManyRequests" in code or "Throttl" in code
            message = f"AWS Batch refused {self._operation} ({code}): {detail.get('Message')}"
            raise (BatchThrottled if throttled else BatchError)(message) from error
        if isinstance(error, BotoCoreError):
            raise BatchError(f"AWS Batch request {self._operation} failed: {error}") from error
