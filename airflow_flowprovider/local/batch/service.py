"""The AWS Batch API for job definitions and jobs: a request in, a response out, no transport."""

from __future__ import annotations

import base64
import itertools
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from airflow_flowprovider.local.batch.container import Container, resolve
from airflow_flowprovider.local.batch.engine import Engine
from airflow_flowprovider.local.batch.executor import Executor
from airflow_flowprovider.local.batch.logs import LogStream
from airflow_flowprovider.local.batch.model import (
    BEFORE_START,
    STATUSES,
    Job,
    JobDefinition,
    Queue,
)
from airflow_flowprovider.local.batch.nodes import (
    all_nodes,
    is_multinode,
    node_container,
    node_count,
)
from airflow_flowprovider.local.batch.retries import matches
from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.batch.validation import (
    MAX_DESCRIBED,
    check_job,
    check_job_definition,
    check_reason,
    refuse,
)

Request = dict[str, Any]
T = TypeVar("T")

_PAGE_SIZE = 1000
_FILTERED_PAGE_SIZE = 100
_JOB_FILTERS: dict[str, Callable[[Job, str], bool]] = {
    "JOB_NAME": lambda job, value: matches(value.lower(), job.name.lower()),
    "JOB_DEFINITION": lambda job, value: (
        job.definition.arn == value
        if value.startswith("arn:")
        else matches(value.lower(), job.definition.name.lower())
    ),
    "BEFORE_CREATED_AT": lambda job, value: job.created_at < int(value),
    "AFTER_CREATED_AT": lambda job, value: job.created_at > int(value),
    "SHARE_IDENTIFIER": lambda job, value: matches(value, job.request.get("shareIdentifier")),
}


class BatchService:
    """Job definitions and jobs of one account in one region.

    Every public method is an operation of AWS Batch: it takes the request as the API spells it,
    returns the response, and raises
    :class:`~airflow_flowprovider.local.batch.validation.RequestRefusedError` where AWS answers
    with an error.

    Args:
        executor: Runs attempts.
        settings: Delays and limits.
        find_queue: The queue with this name or ARN, or None.
        open_log: Opens a log stream by its name.
        tags_of: The tags of an ARN.
        tag: Adds tags to an ARN.
        arn_prefix: ``arn:aws:batch:<region>:<account>:``.
    """

    def __init__(
        self,
        executor: Executor,
        settings: Settings,
        *,
        find_queue: Callable[[str], Queue | None],
        open_log: Callable[[str], LogStream],
        tags_of: Callable[[str], dict[str, str]],
        tag: Callable[[str, dict[str, str]], None],
        arn_prefix: str,
    ) -> None:
        self._settings = settings
        self._find_queue = find_queue
        self._tags_of = tags_of
        self._tag = tag
        self._arn_prefix = arn_prefix
        self._definitions: dict[str, list[JobDefinition]] = {}
        self._sequence = itertools.count(1)
        self._engine = Engine(executor, settings, open_log=open_log, arn_prefix=arn_prefix)

    def close(self) -> None:
        """Terminate all jobs; the service must not be used afterwards."""
        self._engine.close()

    def register_job_definition(self, request: Request) -> dict[str, Any]:
        """RegisterJobDefinition."""
        check_job_definition(request, self._settings)
        name = request["jobDefinitionName"]
        with self._engine.lock:
            revisions = self._definitions.setdefault(name, [])
            revision = len(revisions) + 1
            arn = f"{self._arn_prefix}job-definition/{name}:{revision}"
            kept = {key: value for key, value in request.items() if key != "tags"}
            revisions.append(JobDefinition(arn, name, revision, kept))
        self._tag(arn, request.get("tags") or {})
        return {"jobDefinitionArn": arn, "jobDefinitionName": name, "revision": revision}

    def deregister_job_definition(self, request: Request) -> dict[str, Any]:
        """DeregisterJobDefinition; AWS answers the same for one that does not exist."""
        with self._engine.lock:
            for definition in self._matching_definitions(request["jobDefinition"]):
                definition.status = "INACTIVE"
        return {}

    def describe_job_definitions(self, request: Request) -> dict[str, Any]:
        """DescribeJobDefinitions."""
        listed = request.get("jobDefinitions") or []
        if len(listed) > MAX_DESCRIBED:
            raise refuse(f"Maximum number of job definitions supported is {MAX_DESCRIBED}")
        with self._engine.lock:
            if listed:
                found = [each for ref in listed for each in self._matching_definitions(ref)]
            elif name := request.get("jobDefinitionName"):
                found = self._definitions.get(name, [])
            else:
                found = [each for revs in self._definitions.values() for each in revs]
            status = request.get("status")
            found = [each for each in found if status in {None, each.status}]
            page, token = _page(found, lambda each: each.arn, request, MAX_DESCRIBED)
            described = [each.describe(self._tags_of(each.arn)) for each in page]
        return {"jobDefinitions": described, **token}

    def _matching_definitions(self, reference: str) -> list[JobDefinition]:
        """The revisions an ARN or name stands for, with or without a revision."""
        name, _, revision = reference.rpartition("/")[2].partition(":")
        revisions = self._definitions.get(name, [])
        return [each for each in revisions if revision in {"", str(each.revision)}]

    def submit_job(self, request: Request) -> dict[str, Any]:
        """SubmitJob."""
        definition = self._active_definition(request.get("jobDefinition") or "")
        check_job(request, definition.request, self._settings)
        queue = self._queue(request.get("jobQueue") or "")
        if not queue.enabled:
            raise refuse(f"JobQueue {queue.name} is not in ENABLED state.")
        if queue.fair_share and not request.get("shareIdentifier"):
            raise refuse("shareIdentifier must be specified for a fair-share JobQueue.")
        if request.get("shareIdentifier") and not queue.fair_share:
            raise refuse("shareIdentifier is not applicable for a JobQueue without fair-share.")
        self._check_dependencies_exist(request)
        containers = _containers(definition.request, request)
        job_id = str(uuid.uuid4())
        job = Job(
            id=job_id,
            arn=f"{self._arn_prefix}job/{job_id}",
            sequence=next(self._sequence),
            queue=queue,
            definition=definition,
            request=request,
            container=all_nodes(containers),
        )
        if is_multinode(definition.request):
            job.nodes = [job.child(f"#{n}", n, each) for n, each in enumerate(containers)]
        self._tag(job.arn, request.get("tags") or {})
        self._engine.submit(job)
        return {"jobArn": job.arn, "jobName": job.name, "jobId": job.id}

    def describe_jobs(self, request: Request) -> dict[str, Any]:
        """DescribeJobs; ids that are unknown, or forgotten, are left out."""
        ids = request.get("jobs") or []
        if len(ids) > MAX_DESCRIBED:
            raise refuse(f"Maximum number of jobs supported is {MAX_DESCRIBED}")
        with self._engine.lock:
            jobs = [job for job in map(self._job, ids) if job]
            return {"jobs": [job.describe(self._tags_of((job.parent or job).arn)) for job in jobs]}

    def list_jobs(self, request: Request) -> dict[str, Any]:
        """ListJobs: of a queue, the children of an array, or the nodes of a job."""
        filters = request.get("filters") or []
        status = request.get("jobStatus")
        if status not in {None, *STATUSES}:
            raise refuse(f"Invalid JobStatus {status}")
        if len(filters) > 1:
            raise refuse("Only one filter can be used at a time")
        by_share = bool(filters) and filters[0]["name"] == "SHARE_IDENTIFIER"
        if not filters or (by_share and status):
            wanted: Sequence[str] = [status or "RUNNING"]
        else:
            wanted = STATUSES  # with another filter the status is ignored
        with self._engine.lock:
            jobs = [job for job in self._listed(request) if job.status in wanted]
            if request.get("jobQueue"):  # a filter does not apply to children and nodes
                jobs = _filtered(jobs, filters)
            limit = _FILTERED_PAGE_SIZE if filters else _PAGE_SIZE
            page, token = _page(jobs, lambda job: job.id, request, limit)
            return {"jobSummaryList": [job.summarize() for job in page], **token}

    def cancel_job(self, request: Request) -> dict[str, Any]:
        """CancelJob: without effect on a job that has reached STARTING, or does not exist."""
        check_reason(request)
        with self._engine.lock:
            job = self._job(request["jobId"])
            if job and (job.status in BEFORE_START or job.size):
                self._engine.cancel(job, request["reason"])
        return {}

    def terminate_job(self, request: Request) -> dict[str, Any]:
        """TerminateJob."""
        check_reason(request)
        with self._engine.lock:
            if job := self._job(request["jobId"]):
                self._engine.terminate(job, request["reason"])
        return {}

    def interrupt_job(self, reference: str, reason: str) -> None:
        """Take the host away from a running job: what a spot reclaim does. No API operation.

        Args:
            reference: The job's id or ARN.
            reason: The status reason, such as ``Host EC2 (instance i-0abc) terminated.``
        """
        with self._engine.lock:
            if job := self._job(reference):
                self._engine.interrupt(job, reason)

    def _job(self, reference: str) -> Job | None:
        return self._engine.jobs.get(reference.rpartition("/")[2])

    def _queue(self, reference: str) -> Queue:
        queue = self._find_queue(reference)
        if queue is None:
            raise refuse(f"JobQueue {reference} not found.")
        return queue

    def _active_definition(self, reference: str) -> JobDefinition:
        with self._engine.lock:
            found = self._matching_definitions(reference)
            active = [each for each in found if each.status == "ACTIVE"]
        if not active:
            raise refuse(
                f"JobDefinition name {reference} does not exist or is not in ACTIVE status."
            )
        return active[-1]

    def _check_dependencies_exist(self, request: Request) -> None:
        size = (request.get("arrayProperties") or {}).get("size")
        for dependency in request.get("dependsOn") or []:
            reference = dependency.get("jobId")
            if not reference:
                continue
            job = self._job(reference)
            if job is None:
                raise refuse(f"Job {reference} does not exist.")
            if dependency.get("type") == "N_TO_N" and job.size != size:
                raise refuse(
                    f"N_TO_N dependency requires arrays of the same size, but {reference} has "
                    f"{job.size} and this one {size}."
                )

    def _listed(self, request: Request) -> list[Job]:
        if array := request.get("arrayJobId"):
            parent = self._job(array)
            return parent.children if parent else []
        if several := request.get("multiNodeJobId"):
            parent = self._job(several)
            return parent.nodes if parent else []
        if not request.get("jobQueue"):
            raise refuse("One of jobQueue, arrayJobId and multiNodeJobId must be specified.")
        arn = self._queue(request["jobQueue"]).arn
        jobs = [j for j in self._engine.jobs.values() if j.queue.arn == arn and not j.parent]
        return sorted(jobs, key=lambda job: -job.sequence)


def _containers(definition: Request, request: Request) -> list[Container]:
    """What a job runs: one container, or one for each node."""
    if not is_multinode(definition):
        return [resolve(definition, request)]
    count = node_count(definition, request)
    return [node_container(definition, request, index) for index in range(count)]


def _filtered(jobs: list[Job], filters: Iterable[dict[str, Any]]) -> list[Job]:
    for entry in filters:
        accepts = _JOB_FILTERS.get(entry["name"])
        if accepts is None:
            raise refuse(f"Invalid filter name {entry['name']}")
        values = entry.get("values") or []
        jobs = [job for job in jobs if any(accepts(job, value) for value in values)]
    return jobs


def _page(
    items: Sequence[T], key: Callable[[T], str], request: Request, limit: int
) -> tuple[Sequence[T], dict[str, str]]:
    """One page, and ``nextToken`` if there are more.

    A token names the last item of its page, so that items which arrive or leave in between
    neither repeat nor hide others.
    """
    asked = request.get("maxResults")
    if asked is not None and asked < 1:
        raise refuse("maxResults must be at least 1")
    size = min(asked or limit, limit)
    start = 0
    if token := request.get("nextToken"):
        last = base64.urlsafe_b64decode(token.encode()).decode()
        positions = [n for n, item in enumerate(items) if key(item) == last]
        start = positions[0] + 1 if positions else len(items)
    page = items[start : start + size]
    if start + size >= len(items):
        return page, {}
    return page, {"nextToken": base64.urlsafe_b64encode(key(page[-1]).encode()).decode()}
