from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.cli import batch
from flowsdk.client import Flow, namespace
from tests.flowsdk.aws_batch.fakes import FakeBatch
from tests.flowsdk.cli.conftest import Cli, Recorded

Submit = Callable[..., str]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeBatch:
    fake = FakeBatch()
    monkeypatch.setattr(batch, "batch_jobs", lambda: BatchJobs(fake))
    return fake


@pytest.fixture
def submit(aws: FakeBatch) -> Submit:
    """Puts a job into the queue; returns its id."""
    aws.register_job_definition(
        jobDefinitionName="d", type="container",
        containerProperties={"image": "i", "command": [], "resourceRequirements": []},
    )  # fmt: skip

    def call(flow: str = "HelloFlow", run: str = "1", user: str = "tester", step: str = "a") -> str:
        tags = {"flow": flow, "run": run, "step": step, "task": "0", "user": user}
        request: dict[str, Any] = {"jobName": f"{flow}_{step}_0123456789ab-g0-0", "jobQueue": "q",
                                   "jobDefinition": "d", "tags": tags,
                                   "containerOverrides": {"resourceRequirements": []}}  # fmt: skip
        return str(aws.submit_job(**request)["jobId"])

    return call


def test_the_jobs_of_a_run(cli: Cli, submit: Submit, aws: FakeBatch) -> None:
    mine, over, _ = submit(run="1", step="a"), submit(run="1", step="b"), submit(run="2")
    submit(flow="HelloFlow_other", run="1")
    aws.change(over, "SUCCEEDED")
    outcome = cli("--quiet", "batch", "list", "--run-id", "1")
    assert outcome.code == 0
    [line] = outcome.out.splitlines()
    assert line.split()[:2] == [mine, "RUNNABLE"]
    assert line.endswith("  1/a/0")


def test_the_jobs_of_a_user_as_json(cli: Cli, submit: Submit) -> None:
    ours = [submit(run="1"), submit(run="2")]
    theirs = submit(user="ann")
    for options, expected in ((["--my-runs"], ours), (["--user", "ann"], [theirs])):
        lines = cli("--quiet", "batch", "list", "--json", *options).out.splitlines()
        assert {json.loads(line)["job_id"] for line in lines} == set(expected)


def test_without_a_choice_the_newest_run_is_meant(
    cli: Cli, submit: Submit, recorded: Recorded
) -> None:
    arguments = ["--quiet", "--datastore-root", recorded.root, "batch", "list"]
    assert cli(*arguments).out == ""
    namespace(None)
    newest = Flow("HelloFlow").latest_run
    assert newest
    job = submit(run=newest.id)
    assert cli(*arguments).out.startswith(f"{job}  ")


def test_killing(cli: Cli, submit: Submit, aws: FakeBatch) -> None:
    job, other = submit(run="1"), submit(run="2")
    outcome = cli("--quiet", "batch", "kill", "--run-id", "1")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Ended  {job}")
    assert aws.calls["TerminateJob"] == 1
    assert other not in outcome.out
    assert "No unfinished AWS Batch jobs" in cli("batch", "kill", "--run-id", "3").err


def test_contradictions(cli: Cli, aws: FakeBatch) -> None:
    for option in ("--user", "--run-id"):
        outcome = cli("batch", "list", "--my-runs", option, "x")
        assert outcome.code == 2
        assert "Leave the others out" in outcome.err


def test_an_incomplete_aws_configuration_is_told(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    outcome = cli("batch", "list", "--my-runs")
    assert outcome.code == 1
    assert "You must specify a region. Set AWS_DEFAULT_REGION" in outcome.err
