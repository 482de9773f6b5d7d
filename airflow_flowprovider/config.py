"""The provider's settings: section ``[flowprovider]`` of Airflow's configuration.

``CONFIG_OPTIONS`` is data, which the provider's description shows to Airflow; importing this module
does not import Airflow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flowsdk.aws_batch.definition import BatchDefaults, read_gpu_queues

SECTION = "flowprovider"
#: Type of the connections that say where flows keep their data besides how to reach AWS.
CONNECTION_TYPE = "flowprovider"


def _option(
    description: str, default: str, type_: str = "string", example: str | None = None
) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": type_,
        "example": example,
        "default": default,
    }


#: Option → what provider info says of it. Defaults are text, as in a configuration file.
CONFIG_OPTIONS: dict[str, dict[str, Any]] = {
    "datastore": _option(
        "Where runs, results, logs, code and artifacts lie. A connection of type flowprovider may "
        "name another place.",
        "",
        example="s3://bucket/prefix",
    ),
    "aws_conn_id": _option(
        "Connection with which Airflow's workers and triggerers reach S3 and AWS Batch, of type aws "
        "or flowprovider. Jobs do not use it; they have their job role.",
        "aws_default",
    ),
    "region_name": _option("AWS region; empty for the connection's.", "", example="eu-central-1"),
    "job_queue": _option("Job queue of steps that name none.", "", example="flows"),
    "gpu_queues": _option(
        "JSON of GPU type and the job queue whose hosts have it: the queue of steps with "
        "@resources(gpu_type=…). A job cannot ask AWS Batch for a type.",
        "",
        example='{"A10G": "flows-a10g", "H100": "flows-h100"}',
    ),
    "fargate_queues": _option(
        "Job queues that run on Fargate, separated by commas. What a step in one of them asks for is "
        "checked when its DAG is parsed; in others only when its job is launched.",
        "",
        example="flows-fargate",
    ),
    "image": _option(
        "Container image of steps that name none. It needs Python, boto3, cloudpickle and zstandard.",
        "",
        example="123456789012.dkr.ecr.eu-central-1.amazonaws.com/flows:1",
    ),
    "job_role_arn": _option(
        "Role of the code in the container of steps that name none; it must be allowed to read and "
        "write the datastore.",
        "",
    ),
    "execution_role_arn": _option(
        "Role that starts the container of steps that name none; needed on Fargate.", ""
    ),
    "sync_window": _option(
        "Seconds for which a worker waits for a job that is starting or running before it hands it "
        "to the triggerer. A step that ends within them costs one worker process instead of two.",
        "10",
        "float",
    ),
    "trigger_hold": _option(
        "Seconds after a task was deferred before which its trigger does not fire. An earlier event "
        "can meet a scheduler that does not know of the deferral yet and fails the task.",
        "10",
        "float",
    ),
    "poll_interval_min": _option(
        "Shortest time between two looks of a triggerer at its jobs, in seconds.", "2", "float"
    ),
    "poll_interval_max": _option(
        "Longest time between two looks of a triggerer at its jobs, in seconds; reached while "
        "nothing happens.",
        "10",
        "float",
    ),
    "requests_per_second": _option(
        "Requests of each kind that a triggerer sends to AWS Batch, all its tasks together. AWS takes "
        "50 a second from an account.",
        "40",
        "float",
    ),
    "infrastructure_retries": _option(
        "How often a task is tried again because of its platform, beyond the retries that the flow's "
        "author has allowed.",
        "2",
        "integer",
    ),
    "project_branch": _option(
        "Branch in which flows with @project are deployed here that name none: prod, prod.<name>, "
        "test.<name> or user.<name>. It is a part of their DAGs' names.",
        "prod",
        example="test.nightly",
    ),
    "log_group": _option(
        "CloudWatch log group of the containers, shown when a job ends before it could write a log.",
        "/aws/batch/job",
    ),
}


_VARIABLES = tuple(f"AIRFLOW__{SECTION}__{name}".upper() for name in CONFIG_OPTIONS)


@dataclass(frozen=True)
class ProviderConfig:
    """The settings, read once. See ``CONFIG_OPTIONS`` for what each means; times in seconds.

    Options that are empty are None.
    """

    datastore: str | None
    aws_conn_id: str | None
    region_name: str | None
    job_queue: str | None
    gpu_queues: Mapping[str, str]
    fargate_queues: tuple[str, ...]
    image: str | None
    job_role_arn: str | None
    execution_role_arn: str | None
    sync_window: float
    trigger_hold: float
    poll_interval_min: float
    poll_interval_max: float
    requests_per_second: float
    infrastructure_retries: int
    project_branch: str
    log_group: str

    @classmethod
    def load(cls) -> ProviderConfig:
        """Read Airflow's configuration; again only if the environment has changed.

        Raises:
            AirflowConfigException: A value is not of its option's type.
            UsageError: ``gpu_queues`` is malformed.
        """
        return _read(tuple(os.environ.get(variable) for variable in _VARIABLES))

    @property
    def batch_defaults(self) -> BatchDefaults:
        """What applies to steps that do not say otherwise."""
        return BatchDefaults(
            queue=self.job_queue,
            image=self.image,
            job_role=self.job_role_arn,
            execution_role=self.execution_role_arn,
            gpu_queues=self.gpu_queues,
            fargate_queues=self.fargate_queues,
        )


# Airflow reads its files once in a process, and takes milliseconds for a few options.
@lru_cache(maxsize=1)
def _read(variables: tuple[str | None, ...]) -> ProviderConfig:  # noqa: ARG001  # what it depends on
    from airflow.configuration import conf

    # With a fallback: where the package is on the path but not installed, Airflow knows no
    # defaults of ours.
    def read(name: str) -> Any:
        default = CONFIG_OPTIONS[name]["default"]
        kind = CONFIG_OPTIONS[name]["type"]
        if kind == "float":
            return conf.getfloat(SECTION, name, fallback=float(default))
        if kind == "integer":
            return conf.getint(SECTION, name, fallback=int(default))
        return conf.get(SECTION, name, fallback=default) or None

    values = {name: read(name) for name in CONFIG_OPTIONS}
    queues = (queue.strip() for queue in (values["fargate_queues"] or "").split(","))
    values["fargate_queues"] = tuple(queue for queue in queues if queue)
    where = f"[{SECTION}] gpu_queues"
    values["gpu_queues"] = read_gpu_queues(values["gpu_queues"], where)
    return ProviderConfig(**values)
