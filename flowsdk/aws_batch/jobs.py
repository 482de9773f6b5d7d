"""The requests to AWS Batch that launching and watching jobs takes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from flowsdk.aws_batch.definition import Platform
from flowsdk.aws_batch.queues import queue_in_words
from flowsdk.aws_batch.state import JobState
from flowsdk.exception import BatchError

#: Of DescribeJobs. https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html
MAX_DESCRIBED = 100
#: Of TerminateJob's reason, in characters.
_MAX_REASON = 1024
#: How often SubmitJob is repeated, and the longest wait before each: 1, 2, 4 … seconds, with jitter.
#: AWS Batch takes 50 a second from an account, so this outlasts a burst of a few thousand.
_SUBMIT_TRIES = 7
#: How long a job that AWS has taken without our hearing of it is looked for, in seconds.
_LOOK_AGAIN_SECONDS = (1.0, 3.0)
#: The service's words for a definition that is missing have changed over the years; all name it.
_DEFINITION = "jobdefinition"


class BatchThrottled(BatchError):
    """AWS Batch asks for fewer requests."""


class BatchUnanswered(BatchError):
    """It is not known whether AWS Batch has carried out a request."""


class BatchJobs:
    """Jobs of one account and region.

    Purpose:
        Few requests: nothing is asked that an error would not say anyway.
    What it does not do:
        It keeps no state of jobs and starts no threads; safe to share between threads.

    Args:
        client: A boto3 Batch client.
        submitter: A boto3 Batch client that sends every request once (``total_max_attempts=1``), for
            SubmitJob: it takes no client token, so a repetition after a lost answer would be a
            second job. Made when it is needed; by default ``client``.
    """

    def __init__(self, client: Any, submitter: Callable[[], Any] | None = None) -> None:
        self._client = client
        self._make_submitter = submitter or (lambda: client)
        self._submitter: Any = None
        self._platforms: dict[str, Platform] = {}

    def submit(self, request: Mapping[str, Any], definition: Mapping[str, Any]) -> str:
        """Submit a job; returns its id.

        The job definition is registered only if AWS says that there is none: its name holds a
        fingerprint, so there is one after the first job of its kind. Where an answer is lost, the job
        is looked for by its name before the request is repeated.

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

    def children(self, array_id: str, status: str) -> list[JobState]:
        """Some of the tasks of an array that are in a state: those that AWS lists first."""
        with _translated("ListJobs"):
            page = self._client.list_jobs(arrayJobId=array_id, jobStatus=status)
        return [JobState.of(job) for job in page["jobSummaryList"]]

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
        """The state of a job queue and its hosts in a few words, for people who wait for a job."""
        with _translated("DescribeJobQueues"):
            return queue_in_words(self._client, queue)

    def platform(self, queue: str) -> Platform:
        """What the jobs of a queue run on; asked once for each queue."""
        if queue not in self._platforms:
            with _translated("DescribeComputeEnvironments"):
                self._platforms[queue] = self._ask_platform(queue)
        return self._platforms[queue]

    def _submit(self, request: Mapping[str, Any]) -> str:
        """SubmitJob until AWS has answered; the id of the one job of that name."""
        for attempt in range(_SUBMIT_TRIES):
            try:
                return self._submit_once(request)
            except BatchUnanswered:
                if job_id := self._look_for(request["jobQueue"], request["jobName"]):
                    return job_id
                if attempt == _SUBMIT_TRIES - 1:
                    raise
            except BatchThrottled:
                if attempt == _SUBMIT_TRIES - 1:
                    raise
                time.sleep(random.uniform(0.5, 1) * 2**attempt)
        raise AssertionError("unreachable")

    def _submit_once(self, request: Mapping[str, Any]) -> str:
        if self._submitter is None:
            self._submitter = self._make_submitter()
        with _translated("SubmitJob"):
            return str(self._submitter.submit_job(**request)["jobId"])

    def _look_for(self, queue: str, name: str) -> str | None:
        """The job of that name, if AWS shows one; a list may lag behind SubmitJob by a moment."""
        for wait in _LOOK_AGAIN_SECONDS:
            time.sleep(wait)
            for state in self.find(queue, name):
                if state.name == name:
                    return state.id
        return None

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
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

        if isinstance(error, ClientError):
            detail = error.response.get("Error", {})
            code = str(detail.get("Code", ""))
            message = f"AWS Batch refused {self._operation} ({code}): {detail.get('Message')}"
            raise _kind(code, error.response)(message) from error
        if isinstance(error, BotoCoreError):
            message = f"AWS Batch request {self._operation} failed: {error}"
            unanswered = isinstance(error, (ConnectionError, HTTPClientError))
            raise (BatchUnanswered if unanswered else BatchError)(message) from error


def _kind(code: str, response: Mapping[str, Any]) -> type[BatchError]:
    if "TooManyRequests" in code or "Throttl" in code:
        return BatchThrottled
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return BatchUnanswered if status >= 500 else BatchError
