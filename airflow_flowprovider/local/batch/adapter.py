"""Puts the Batch service into moto's server; the only module that knows moto's insides.

S3, CloudWatch Logs, IAM, EC2 and Batch's own compute environments, queues, tags and scheduling
policies stay moto's. Job definitions and jobs, which moto runs in Docker only and without array
indices, retries or exit codes, are ours.

Fault injection needs no extra endpoint: tagging a running job, or an array child, with
``local-batch:interrupt`` = ``Host EC2 (instance i-0abc) terminated.`` takes its host away.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import moto.batch.models
import moto.batch.responses
import moto.batch.urls
from moto.core.base_backend import BackendDict
from moto.core.exceptions import AWSError

from airflow_flowprovider.local.batch.executor import Executor
from airflow_flowprovider.local.batch.logs import LogEvent
from airflow_flowprovider.local.batch.model import ComputeEnvironment, Queue
from airflow_flowprovider.local.batch.service import BatchService
from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.batch.validation import RequestRefusedError

LOG_GROUP = "/aws/batch/job"
INTERRUPT_TAG = "local-batch:interrupt"
UNLIMITED_VCPUS = 256.0
"""For an unmanaged compute environment, which has no maximum."""

_OPERATIONS = (
    "register_job_definition",
    "deregister_job_definition",
    "describe_job_definitions",
    "submit_job",
    "describe_jobs",
    "list_jobs",
    "cancel_job",
    "terminate_job",
)


class Throttle:
    """A token bucket for each operation: so many requests a second, and a burst of as many.

    Args:
        per_second: The rate; 0 lets everything pass.
        clock: Seconds that never go back.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: defaultdict[str, tuple[float, float]] = defaultdict(
            lambda: (per_second, clock())
        )

    def take(self, operation: str) -> None:
        """Let one request pass.

        Raises:
            RequestRefusedError: TooManyRequestsException, there have been too many.
        """
        if not self._rate:
            return
        with self._lock:
            tokens, then = self._buckets[operation]
            now = self._clock()
            tokens = min(self._rate, tokens + (now - then) * self._rate)
            self._buckets[operation] = (tokens - 1 if tokens >= 1 else tokens, now)
        if tokens < 1:
            raise RequestRefusedError("Too Many Requests", "TooManyRequestsException", 429)


class _MotoLogStream:
    """A stream in moto's CloudWatch Logs."""

    # moto keeps its log groups in plain dicts and lists, and jobs write from several threads.
    _lock = threading.Lock()

    def __init__(self, logs: Any, name: str) -> None:
        self._logs = logs
        self._name = name
        with self._lock:
            logs.ensure_log_group(LOG_GROUP)
            logs.ensure_log_stream(LOG_GROUP, name)

    def put(self, events: list[LogEvent]) -> None:
        entries = [{"timestamp": when, "message": line} for when, line in events]
        with self._lock:
            self._logs.put_log_events(LOG_GROUP, self._name, entries)


def install(executor: Executor, settings: Settings) -> None:
    """Make moto's Batch, in this process, run jobs with ``executor``.

    To be called before the first request, and once.
    """

    class EmbeddedBatchBackend(moto.batch.models.BatchBackend):
        """moto's backend of one region, with our jobs in it."""

        def __init__(self, region_name: str, account_id: str) -> None:
            super().__init__(region_name, account_id)
            self.service = BatchService(
                executor,
                settings,
                find_queue=self._find_queue,
                open_log=lambda name: _MotoLogStream(self.logs_backend, name),
                tags_of=self.list_tags_for_resource,
                tag=super().tag_resource,
                arn_prefix=f"arn:{self.partition}:batch:{region_name}:{account_id}:",
            )

        @property
        def _url_module(self) -> Any:
            return moto.batch.urls

        def reset(self) -> None:
            self.service.close()
            super().reset()

        def tag_resource(self, resource_arn: str, tags: dict[str, str]) -> None:
            if reason := (tags or {}).get(INTERRUPT_TAG):
                self.service.interrupt_job(resource_arn, reason)
            super().tag_resource(resource_arn, tags)

        def _find_queue(self, reference: str) -> Queue | None:
            queue = self.get_job_queue(reference)
            return None if queue is None else _view(queue)

    backends = BackendDict(EmbeddedBatchBackend, "batch")
    moto.batch.models.batch_backends = backends  # type: ignore[assignment]
    moto.batch.responses.batch_backends = backends  # type: ignore[assignment, attr-defined]
    throttle = Throttle(settings.requests_per_second)
    for operation in _OPERATIONS:
        handler = _handler(operation, throttle)
        setattr(moto.batch.responses.BatchResponse, operation.replace("_", ""), handler)


def _handler(operation: str, throttle: Throttle) -> Callable[[Any], str]:
    """A method of moto's BatchResponse, which finds it by the last part of the request's path."""

    def handle(response: Any) -> str:
        try:
            throttle.take(operation)
            request = json.loads(response.body or "{}")
            return json.dumps(getattr(response.batch_backend.service, operation)(request))
        except RequestRefusedError as error:
            raise AWSError(error.message, error.code, error.status) from error

    return handle


def _view(queue: Any) -> Queue:
    """The job queue of moto as the engine sees it."""
    return Queue(
        arn=queue.arn,
        name=queue.name,
        enabled=queue.state == "ENABLED",
        priority=int(queue.priority),
        fair_share=bool(queue.schedule_policy),
        environments=tuple(
            ComputeEnvironment(
                each.arn,
                each.name,
                float((each.compute_resources or {}).get("maxvCpus", UNLIMITED_VCPUS)),
            )
            for each in queue.environments
        ),
    )
