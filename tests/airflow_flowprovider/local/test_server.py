"""The server process: what it sets up, counts, and takes with it when it dies."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.server import EmbeddedAws, LocalServerError, client_environment
from tests.airflow_flowprovider.local.conftest import Jobs, client, wait_for
from tests.airflow_flowprovider.local.test_processes import FAMILY, alive, family


def test_no_job_survives_a_server_that_is_killed(tmp_path: Path) -> None:
    with EmbeddedAws() as server:
        jobs = Jobs(server)
        jobs.submit("family", f"cd {tmp_path};" + FAMILY + "sleep 300; true")
        pids = family(tmp_path)
        os.kill(server.pid, signal.SIGKILL)
        wait_for(lambda: not any(map(alive, pids)))


def test_no_job_survives_a_server_that_is_stopped(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    with EmbeddedAws(state_dir, settings=Settings(requests_per_second=3)) as server:
        jobs = Jobs(server)
        jobs.submit("family", f"cd {tmp_path};" + FAMILY + "sleep 300; true")
        pids = family(tmp_path)
        assert _throttled(server) == "TooManyRequestsException"
        pid = server.pid
    assert not any(map(alive, [pid, *pids]))
    printed = (state_dir / "aws.log").read_text()
    assert f"  export AWS_ENDPOINT_URL={server.endpoint_url}\n" in printed


def _throttled(server: EmbeddedAws) -> str:
    """The code of the error that ends more requests than three a second."""
    batch = client(server, "batch", Config(retries={"total_max_attempts": 1}))
    try:
        for _ in range(100):
            batch.describe_jobs(jobs=["any"])
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "none"


def test_requests_are_counted_by_operation(aws: EmbeddedAws) -> None:
    s3 = client(aws, "s3")
    aws.requests(reset=True)
    s3.put_object(Bucket=aws.bucket, Key="counted", Body=b"1")
    s3.get_object(Bucket=aws.bucket, Key="counted")["Body"].read()
    s3.get_object(Bucket=aws.bucket, Key="counted")["Body"].read()
    client(aws, "logs").describe_log_groups()
    assert aws.requests() == {
        "logs:DescribeLogGroups": 1,
        "s3:GetObject": 2,
        "s3:PutObject": 1,
    }


def test_of_many_conditional_writes_exactly_one_succeeds(aws: EmbeddedAws) -> None:
    outcomes: list[Any] = []
    barrier = threading.Barrier(8)
    clients = [client(aws, "s3") for _ in range(8)]

    def write(s3: Any, body: bytes) -> None:
        barrier.wait()
        try:
            s3.put_object(Bucket=aws.bucket, Key="once", Body=body, IfNoneMatch="*")
            outcomes.append(body)
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [
        threading.Thread(target=write, args=(s3, str(n).encode())) for n, s3 in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
    assert len(winners) == 1
    assert outcomes.count("PreconditionFailed") == 7
    stored = clients[0].get_object(Bucket=aws.bucket, Key="once")["Body"].read()
    assert stored == winners[0]


def test_a_second_server_takes_the_next_port(aws: EmbeddedAws) -> None:
    port = int(aws.endpoint_url.rpartition(":")[2])
    with EmbeddedAws(port=port) as other:
        assert other.endpoint_url != aws.endpoint_url
        assert client(other, "s3").list_buckets()["Buckets"][0]["Name"] == "flows"


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("in the way")
    with pytest.raises(LocalServerError, match=r"(?s)exit code 1.*FileExistsError"):
        EmbeddedAws(tmp_path).start()


def test_the_environment_points_every_sdk_at_the_server(aws: EmbeddedAws) -> None:
    assert aws.env == client_environment(aws.endpoint_url)
    assert aws.env["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")


def test_settings_of_another_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found speed, expected some of submitted_seconds"):
        Settings.from_json('{"speed": 1}')
    assert Settings.from_json(Settings(gpus=2).to_json()) == Settings(gpus=2)
