"""What a step's decorators ask for, as the embedded AWS has stored it with the job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_flowprovider.local.server import EmbeddedAws
from flowsdk import FlowSpec, batch, resources, retry, step
from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.launching import submit_task
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import step_settings
from flowsdk.spec import TaskSpec
from tests.airflow_flowprovider.local.conftest import Jobs, client

LIMITS = [{"name": "nofile", "softLimit": 4096, "hardLimit": 4096}]
ACCESS = {"accessPointId": "fsap-1", "iam": "ENABLED"}
EFS = {"fileSystemId": "fs-9", "authorizationConfig": ACCESS, "transitEncryption": "ENABLED"}


class Demanding(FlowSpec):
    @retry(on_oom=2)
    @resources(cpu=1, memory=300, gpu=1, gpu_type="A10G")
    @batch(
        image="tools:2",
        executable="true",
        iam_role="arn:aws:iam::1:role/own",
        execution_role="arn:aws:iam::1:role/start",
        shared_memory=64,
        max_swap=128,
        swappiness=10,
        use_tmpfs=True,
        host_volumes=["/raw:/mnt/raw"],
        efs_volumes=["fs-1:/shared"],
        log_driver="awslogs",
        log_options=["awslogs-group:mine"],
        aws_batch_tags={"team": "vision"},
        container_properties={
            "ulimits": LIMITS,
            "linuxParameters": {"initProcessEnabled": True},
            "user": "nobody",
        },
    )
    @step
    def start(self): ...

    @batch(
        queue="serverless",
        executable="true",
        ephemeral_storage=50,
        efs_volumes="fs-9:/data",
        execution_role="arn:aws:iam::1:role/start",
        container_properties={"volumes": [{"name": "volume-0", "efsVolumeConfiguration": EFS}]},
    )
    @step
    def alone(self): ...


def submitted(
    jobs: Jobs, folder: Path, step_name: str, defaults: BatchDefaults, ooms: int = 0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job of a step of Demanding, and its job definition, as AWS describes them."""
    facts = {"project_name": "digits", "branch_name": "prod"}
    spec = TaskSpec("Demanding", "r", step_name, "0", ooms, str(folder), user="ada", facts=facts)
    settings = replace(step_settings(Demanding, step_name), ooms=ooms)
    store = FlowDatastore.at(str(folder), "Demanding")
    job = jobs.describe(submit_task(BatchJobs(jobs.batch), store, spec, settings, defaults))
    jobs.batch.terminate_job(jobId=job["jobId"], reason="it has been described")
    described = jobs.batch.describe_job_definitions(jobDefinitions=[job["jobDefinition"]])
    return job, described["jobDefinitions"][0]


def amounts(container: dict[str, Any]) -> dict[str, str]:
    return {entry["type"]: entry["value"] for entry in container["resourceRequirements"]}


def test_on_ec2(aws: EmbeddedAws, jobs: Jobs, tmp_path: Path) -> None:
    defaults = BatchDefaults(image="python:3", gpu_queues={"A10G": aws.job_queue})
    job, definition = submitted(jobs, tmp_path, "start", defaults)
    assert job["tags"] == {
        "flow": "Demanding",
        "run": "r",
        "step": "start",
        "task": "0",
        "user": "ada",
        "project": "digits",
        "branch": "prod",
        "team": "vision",
    }
    assert amounts(job["container"]) == {"VCPU": "1", "MEMORY": "300", "GPU": "1"}
    assert {"name": "TMPDIR", "value": "/flowsdk_temp"} in job["container"]["environment"]
    stored = definition["containerProperties"]
    wanted = {
        "image": "tools:2",
        "jobRoleArn": "arn:aws:iam::1:role/own",
        "executionRoleArn": "arn:aws:iam::1:role/start",
        "ulimits": LIMITS,
        "user": "nobody",
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "mine"}},
        "linuxParameters": {
            "sharedMemorySize": 64,
            "maxSwap": 128,
            "swappiness": 10,
            "tmpfs": [{"containerPath": "/flowsdk_temp", "size": 150}],
            "initProcessEnabled": True,
        },
    }
    assert {name: stored[name] for name in wanted} == wanted
    assert {name: job["container"][name] for name in wanted} == wanted
    host, shared = stored["volumes"]
    assert host["host"] == {"sourcePath": "/raw"}
    assert shared["efsVolumeConfiguration"]["fileSystemId"] == "fs-1"
    assert [mount["containerPath"] for mount in stored["mountPoints"]] == ["/mnt/raw", "/shared"]
    grown, again = submitted(jobs, tmp_path, "start", defaults, ooms=2)
    assert amounts(grown["container"])["MEMORY"] == "1200"
    assert again["jobDefinitionArn"] == definition["jobDefinitionArn"]


def test_on_fargate(aws: EmbeddedAws, jobs: Jobs, tmp_path: Path) -> None:
    ec2 = client(aws, "ec2")
    (known,) = jobs.batch.describe_compute_environments()["computeEnvironments"]
    arn = jobs.batch.create_compute_environment(
        computeEnvironmentName="serverless",
        type="MANAGED",
        computeResources={
            "type": "FARGATE",
            "maxvCpus": 16,
            "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
            "securityGroupIds": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
        },
        serviceRole=known["serviceRole"],
    )["computeEnvironmentArn"]
    order = [{"order": 1, "computeEnvironment": arn}]
    jobs.batch.create_job_queue(
        jobQueueName="serverless", state="ENABLED", priority=1, computeEnvironmentOrder=order
    )
    _, definition = submitted(jobs, tmp_path, "alone", BatchDefaults(image="python:3"))
    assert definition["platformCapabilities"] == ["FARGATE"]
    stored = definition["containerProperties"]
    assert stored["ephemeralStorage"] == {"sizeInGiB": 50}
    assert stored["networkConfiguration"] == {"assignPublicIp": "ENABLED"}
    assert [volume["efsVolumeConfiguration"] for volume in stored["volumes"]] == [EFS]
    assert stored["mountPoints"][0]["containerPath"] == "/data"
