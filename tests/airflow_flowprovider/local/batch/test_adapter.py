from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from airflow_flowprovider.local.batch.adapter import Throttle
from airflow_flowprovider.local.batch.validation import RequestRefusedError
from tests.airflow_flowprovider.local.conftest import Jobs


def test_a_throttle_lets_a_burst_pass_and_then_the_rate() -> None:
    now = 100.0
    throttle = Throttle(2, clock=lambda: now)
    for _ in range(2):
        throttle.take("submit_job")
    with pytest.raises(RequestRefusedError) as caught:
        throttle.take("submit_job")
    assert (caught.value.code, caught.value.status) == ("TooManyRequestsException", 429)
    throttle.take("describe_jobs")  # each operation has a bucket of its own
    now += 0.5
    throttle.take("submit_job")
    with pytest.raises(RequestRefusedError):
        throttle.take("submit_job")


def test_no_rate_is_no_throttle() -> None:
    throttle = Throttle(0)
    for _ in range(1000):
        throttle.take("submit_job")


def test_a_refusal_reaches_boto3_as_the_services_own_exception(jobs: Jobs) -> None:
    with pytest.raises(jobs.batch.exceptions.ClientException) as caught:
        jobs.batch.terminate_job(jobId="any", reason="")
    assert isinstance(caught.value, ClientError)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_what_is_motos_stays_motos(jobs: Jobs) -> None:
    (queue,) = jobs.batch.describe_job_queues(jobQueues=[jobs.queue])["jobQueues"]
    assert (queue["state"], queue["status"]) == ("ENABLED", "VALID")
    jobs.batch.tag_resource(resourceArn=queue["jobQueueArn"], tags={"team": "a"})
    tags = jobs.batch.list_tags_for_resource(resourceArn=queue["jobQueueArn"])["tags"]
    assert tags["team"] == "a"
