"""What somebody must have set up in an AWS account before flows can run there.

Only public AWS operations are used, and only what is missing is created. The roles get no policies:
the embedded AWS checks none, and what a real account should grant is its owner's decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError


@dataclass(frozen=True)
class Infrastructure:
    """Names and ARNs of what a deployment of flows uses."""

    bucket: str
    job_queue: str
    compute_environment: str
    job_role_arn: str
    execution_role_arn: str


def create(
    *,
    name: str = "flows",
    max_vcpus: int = 16,
    session: boto3.Session | None = None,
    endpoint_url: str | None = None,
) -> Infrastructure:
    """Create a bucket, and a job queue on a compute environment, unless they exist.

    Args:
        name: Of the bucket, the queue and the compute environment.
        max_vcpus: Of the compute environment. Not the number of this machine's cores: jobs that
            reserve a vCPU mostly wait, and a flow should not wait for them.
        session: Credentials and region; boto3's defaults if left out.
        endpoint_url: Where AWS is; ``AWS_ENDPOINT_URL`` and then AWS itself if left out.
    """
    session = session or boto3.Session()

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=endpoint_url)  # type: ignore[call-overload]

    _create_bucket(client("s3"), name, session.region_name)
    roles = {kind: _create_role(client("iam"), f"{name}-{kind}", s) for kind, s in _ROLES.items()}
    profile = _create_instance_profile(client("iam"), f"{name}-instance")
    network = _find_network(client("ec2"))
    resources = {
        "type": "EC2",
        "minvCpus": 0,
        "desiredvCpus": 0,
        "maxvCpus": max_vcpus,
        "instanceTypes": ["optimal"],
        "instanceRole": profile,
        **network,
    }
    batch = client("batch")
    environment = _create_environment(batch, name, roles["batch"], resources)
    _create_queue(batch, name, environment)
    return Infrastructure(
        bucket=name,
        job_queue=name,
        compute_environment=name,
        job_role_arn=roles["job"],
        execution_role_arn=roles["execution"],
    )


_ROLES: Mapping[str, str] = {  # kind of role → the service that may assume it
    "batch": "batch.amazonaws.com",
    "instance": "ec2.amazonaws.com",
    "job": "ecs-tasks.amazonaws.com",
    "execution": "ecs-tasks.amazonaws.com",
}


def _unless(codes: set[str], create_it: Callable[[], object]) -> None:
    """Create something, and take no offence at it being there already."""
    try:
        create_it()
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise


def _create_bucket(s3: Any, name: str, region: str | None) -> None:
    # us-east-1 is the one region that must not be named.
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    arguments = {} if region in {None, "us-east-1"} else elsewhere
    _unless({"BucketAlreadyOwnedByYou"}, lambda: s3.create_bucket(Bucket=name, **arguments))


def _create_role(iam: Any, name: str, service: str) -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        ],
    }
    _unless(
        {"EntityAlreadyExists"},
        lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust)),
    )
    return str(iam.get_role(RoleName=name)["Role"]["Arn"])


def _create_instance_profile(iam: Any, name: str) -> str:
    _unless({"EntityAlreadyExists"}, lambda: iam.create_instance_profile(InstanceProfileName=name))
    _unless(
        {"LimitExceeded"},  # it has its one role
        lambda: iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name),
    )
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    return str(profile["Arn"])


def _find_network(ec2: Any) -> dict[str, list[str]]:
    """Subnets and security group of the default VPC."""
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    within = [{"Name": "vpc-id", "Values": [vpcs[0]["VpcId"]]}]
    subnets = ec2.describe_subnets(Filters=within)["Subnets"]
    groups = ec2.describe_security_groups(
        Filters=[*within, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"]
    return {
        "subnets": [subnet["SubnetId"] for subnet in subnets],
        "securityGroupIds": [group["GroupId"] for group in groups],
    }


def _create_environment(batch: Any, name: str, role: str, resources: dict[str, Any]) -> str:
    def existing() -> list[Any]:
        found = batch.describe_compute_environments(computeEnvironments=[name])
        return list(found["computeEnvironments"])

    if not existing():
        batch.create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            state="ENABLED",
            serviceRole=role,
            computeResources=resources,
        )
    return str(existing()[0]["computeEnvironmentArn"])


def _create_queue(batch: Any, name: str, environment: str) -> None:
    if not batch.describe_job_queues(jobQueues=[name])["jobQueues"]:
        batch.create_job_queue(
            jobQueueName=name,
            state="ENABLED",
            priority=1,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}],
        )
