"""Running an attempt of a job: one container, or all nodes of a multi-node parallel job."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from airflow_flowprovider.local.batch.executor import Ending, Executor
from airflow_flowprovider.local.batch.logs import LogStream
from airflow_flowprovider.local.batch.model import (
    TERMINAL,
    Attempt,
    ComputeEnvironment,
    Job,
    Status,
    StopRequest,
    now_ms,
)

MAIN_NODE_ENDED = "The main node of the multi-node parallel job has ended"


class AttemptRunner:
    """Runs attempts with an executor, each in the calling thread.

    How it works:
        Of a multi-node parallel job the main node starts first and decides: when it runs the others
        are started, and when it ends they are stopped. What becomes of the others changes nothing.

    Known limitation:
        The job ends when its last node has been stopped; on AWS it ends with its main node.

    Args:
        executor: Runs containers.
        open_log: Opens a log stream by its name.
        lock: Held while jobs change.
        move: Moves a job into another state.
    """

    def __init__(
        self,
        executor: Executor,
        open_log: Callable[[str], LogStream],
        lock: AbstractContextManager[object],
        move: Callable[[Job, Status, str | None], None],
    ) -> None:
        self._executor = executor
        self._open_log = open_log
        self._lock = lock
        self._move = move

    def run(self, job: Job, attempt: Attempt, environment: ComputeEnvironment) -> None:
        """Run one attempt to its end, which is noted on it."""
        timeout = (job.timeout or {}).get("attemptDurationSeconds")
        if job.nodes:
            self._run_nodes(job, attempt, environment, timeout)
        else:
            self._run(job, attempt, environment, timeout, lambda: None)

    def _run_nodes(
        self, job: Job, attempt: Attempt, environment: ComputeEnvironment, timeout: float | None
    ) -> None:
        main = job.nodes[job.main_node]
        threads: list[threading.Thread] = []

        def start_the_others() -> None:
            job.started_at = main.started_at
            self._move(job, "RUNNING", None)
            others = [
                node for node in job.nodes if node is not main and node.status not in TERMINAL
            ]
            threads.extend(self._start_node(node, attempt, environment) for node in others)

        self._move_node(main, "STARTING", attempt)
        try:
            self._run(main, attempt, environment, timeout, start_the_others)
        finally:
            with self._lock:
                self._end_node(main, attempt)
                for node in job.nodes:
                    if node.attempt and node.status not in TERMINAL:
                        node.attempt.request_stop(StopRequest("terminate", MAIN_NODE_ENDED))
            for thread in threads:
                thread.join()

    def _start_node(
        self, node: Job, main: Attempt, environment: ComputeEnvironment
    ) -> threading.Thread:
        attempt = Attempt(main.number, f"{main.task_arn}{node.index}", main.instance_arn)
        self._move_node(node, "STARTING", attempt)

        def run() -> None:
            try:
                self._run(node, attempt, environment, None, lambda: None)
            finally:
                with self._lock:
                    self._end_node(node, attempt)

        thread = threading.Thread(target=run, name=f"batch-{node.id}", daemon=True)
        thread.start()
        return thread

    def _move_node(self, node: Job, status: Status, attempt: Attempt) -> None:
        with self._lock:
            node.attempt = attempt
            self._move(node, status, None)

    def _end_node(self, node: Job, attempt: Attempt) -> None:
        node.attempts.append(attempt)
        status: Status = "SUCCEEDED" if attempt.succeeded else "FAILED"
        self._move(node, status, attempt.status_reason)

    def _run(
        self,
        job: Job,
        attempt: Attempt,
        environment: ComputeEnvironment,
        timeout: float | None,
        then: Callable[[], None],
    ) -> None:
        stream = f"{job.definition.name}/default/{attempt.task_arn.rpartition('/')[2]}"

        def on_running() -> None:
            with self._lock:
                attempt.log_stream = stream
                attempt.started_at = job.started_at = now_ms()
                self._move(job, "RUNNING", None)
                then()

        ending = Ending(reason="CannotStartContainerError: internal error", started=False)
        try:
            ending = self._executor.run(
                job.container,
                _batch_variables(job, attempt, environment),
                attempt,
                timeout=timeout,
                log=lambda: self._open_log(stream),
                on_running=on_running,
            )
        finally:
            with self._lock:
                attempt.end(ending.exit_code, ending.reason, ending.started)


def _batch_variables(job: Job, attempt: Attempt, environment: ComputeEnvironment) -> dict[str, str]:
    """What Batch puts into the environment of a job's container."""
    variables = {
        "AWS_BATCH_JOB_ID": job.id,
        "AWS_BATCH_JOB_ATTEMPT": str(attempt.number),
        "AWS_BATCH_JQ_NAME": job.queue.name,
        "AWS_BATCH_CE_NAME": environment.name,
    }
    if job.parent is None:
        return variables
    if job.parent.size:
        return {
            **variables,
            "AWS_BATCH_JOB_ARRAY_INDEX": str(job.index),
            "AWS_BATCH_JOB_ARRAY_SIZE": str(job.parent.size),
        }
    variables |= {
        "AWS_BATCH_JOB_NODE_INDEX": str(job.index),
        "AWS_BATCH_JOB_NUM_NODES": str(len(job.parent.nodes)),
        "AWS_BATCH_JOB_MAIN_NODE_INDEX": str(job.parent.main_node),
    }
    # https://docs.aws.amazon.com/batch/latest/userguide/mnp-env-vars.html: not on the main node.
    if job.index != job.parent.main_node:
        variables["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] = _own_address()
    return variables


def _own_address() -> str:
    """Of this machine, on which all nodes run: what its name means to itself."""
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"
