"""An embedded AWS for the whole run, and a small vocabulary to use its Batch through boto3."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.config import Config

from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.server import EmbeddedAws

DEADLINE_SECONDS = 20.0


def wait_for(condition: Callable[[], Any]) -> Any:
    """Poll until ``condition`` gives something true, and return that."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS} s"
        time.sleep(0.02)
    return found


def client(aws: EmbeddedAws, service: str, config: Config | None = None) -> Any:
    env = aws.env
    return boto3.client(
        service,
        endpoint_url=aws.endpoint_url,
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        config=config,
    )


class Jobs:
    """Submits and follows jobs of one job definition."""

    definition = "shell"

    def __init__(self, aws: EmbeddedAws) -> None:
        self.batch = client(aws, "batch")
        self.logs = client(aws, "logs")
        self.queue = aws.job_queue
        self.register(self.definition)

    def register(self, name: str, *, image: str = "python:3", **arguments: Any) -> str:
        container = {
            "image": image,
            "command": ["sh", "-c", "echo Ref::greeting"],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "256"},
            ],
            "environment": [{"name": "COLOUR", "value": "red"}],
            **arguments.pop("container", {}),
        }
        answer = self.batch.register_job_definition(
            jobDefinitionName=name,
            type="container",
            containerProperties=container,
            **{"parameters": {"greeting": "hello"}, **arguments},
        )
        return str(answer["jobDefinitionArn"])

    def submit(self, name: str, script: str | Sequence[str] | None = None, **arguments: Any) -> str:
        """Submit a job; a string is run by the shell, a list as it is."""
        overrides = dict(arguments.pop("containerOverrides", {}))
        if script is not None:
            command = ["sh", "-c", script] if isinstance(script, str) else list(script)
            overrides["command"] = command
        answer = self.batch.submit_job(
            jobName=name,
            jobQueue=arguments.pop("jobQueue", self.queue),
            jobDefinition=arguments.pop("jobDefinition", self.definition),
            containerOverrides=overrides,
            **arguments,
        )
        return str(answer["jobId"])

    def describe(self, job_id: str) -> dict[str, Any]:
        return dict(self.batch.describe_jobs(jobs=[job_id])["jobs"][0])

    def reach(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until the job has one of these states."""

        def reached() -> dict[str, Any] | None:
            job = self.describe(job_id)
            return job if job["status"] in statuses else None

        return wait_for(reached)  # type: ignore[no-any-return]

    def finish(self, job_id: str) -> dict[str, Any]:
        return self.reach(job_id, "SUCCEEDED", "FAILED")

    def run(self, name: str, script: str | Sequence[str], **arguments: Any) -> dict[str, Any]:
        return self.finish(self.submit(name, script, **arguments))

    def lines(self, described: dict[str, Any]) -> list[str]:
        """The log of a job or attempt, as far as it is in CloudWatch."""
        stream = described["container"].get("logStreamName")
        if stream is None:
            return []
        events = self.logs.get_log_events(
            logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True
        )["events"]
        return [event["message"] for event in events]


@pytest.fixture(scope="session")
def aws() -> Iterator[EmbeddedAws]:
    settings = Settings(
        minimum_timeout_seconds=1,
        stop_grace_seconds=1,
        log_flush_seconds=0.1,
        images={"registry.invalid/": None, "tools:": {"path": ["/nowhere"], "env": {"KIT": "1"}}},
    )
    with EmbeddedAws(settings=settings) as server:
        yield server


@pytest.fixture(scope="session")
def jobs(aws: EmbeddedAws) -> Jobs:
    return Jobs(aws)
