"""Every setting that flowsdk reads from its environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: What stands for the value of a secret.
MASK = "********"


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: The variable.
        meaning: What it says.
        aliases: Other variables that say the same, looked at after ``name``, in order.
        secret: Whether its value must not be shown.
    """

    name: str
    meaning: str
    aliases: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True)
class Found:
    """A setting and its value.

    Attributes:
        setting: Which.
        value: Its value, masked if it is secret; None if it is not set.
        source: The variable that has it, or None.
    """

    setting: Setting
    value: str | None
    source: str | None


SETTINGS = (
    Setting("FLOWSDK_DATASTORE", "where runs are kept: a folder or s3://bucket/prefix (default: "
            "the nearest .flowsdk upwards)"),
    Setting("METAFLOW_DATASTORE_SYSROOT_S3", "what '--datastore s3' means where FLOWSDK_DATASTORE "
            "is not in S3"),
    Setting("FLOWSDK_METADATA", "where the client looks for runs (default: the datastore)"),
    Setting("FLOWSDK_NAMESPACE", "what the client looks in; empty for everything (default: "
            "user:NAME)"),
    Setting("FLOWSDK_USER", "who runs flows (default: the login name)", ("METAFLOW_USER",)),
    Setting("FLOWSDK_BATCH_QUEUE", "AWS Batch job queue (default: the first that is enabled)"),
    Setting("FLOWSDK_BATCH_GPU_QUEUES", "JSON of GPU type → job queue, for @resources(gpu_type=…)"),
    Setting("FLOWSDK_BATCH_IMAGE", "container image of jobs (default: python:<version>)"),
    Setting("FLOWSDK_BATCH_JOB_ROLE", "IAM role that jobs have"),
    Setting("FLOWSDK_BATCH_EXECUTION_ROLE", "IAM role that starts jobs, where Batch needs one"),
    Setting("FLOWSDK_AIRFLOW_URL", "address of Airflow's API server"),
    Setting("FLOWSDK_AIRFLOW_USERNAME", "user at Airflow"),
    Setting("FLOWSDK_AIRFLOW_PASSWORD", "password at Airflow", secret=True),
    Setting("FLOWSDK_AIRFLOW_TOKEN", "token for Airflow, in place of user and password",
            secret=True),
    Setting("FLOWSDK_DAGS_FOLDER", "where 'airflow create' puts flows"),
    Setting("FLOWSDK_DEFAULT_SECRETS_BACKEND_TYPE", "where @secrets looks for sources without a "
            "type", ("METAFLOW_DEFAULT_SECRETS_BACKEND_TYPE",)),
    Setting("FLOWSDK_AWS_SECRETS_MANAGER_DEFAULT_REGION", "region of AWS Secrets Manager",
            ("METAFLOW_AWS_SECRETS_MANAGER_DEFAULT_REGION",)),
    Setting("FLOWSDK_FLOW_CONFIG", "JSON of Config name → file", ("METAFLOW_FLOW_CONFIG",)),
    Setting("FLOWSDK_FLOW_CONFIG_VALUE", "JSON of Config name → value",
            ("METAFLOW_FLOW_CONFIG_VALUE",)),
    Setting("FLOWSDK_BRANCH", "branch of flows with @project, as --branch", ("METAFLOW_BRANCH",)),
    Setting("FLOWSDK_PRODUCTION", "true: their production branch, as --production",
            ("METAFLOW_PRODUCTION",)),
    Setting("AWS_PROFILE", "profile of the AWS credentials"),
    Setting("AWS_DEFAULT_REGION", "AWS region"),
    Setting("AWS_ENDPOINT_URL", "address of all AWS services, for an AWS of one's own"),
    Setting("AWS_ACCESS_KEY_ID", "AWS credentials"),
    Setting("AWS_SECRET_ACCESS_KEY", "AWS credentials", secret=True),
    Setting("AWS_SESSION_TOKEN", "AWS credentials", secret=True),
    Setting("NO_COLOR", "set to anything: no colours in a terminal"),
)  # fmt: skip

#: Each followed by the name of a parameter.
PREFIXES = {
    "FLOWSDK_RUN_": "value of a parameter of a flow",
    "METAFLOW_RUN_": "the same, by Metaflow's name",
}


def found_in(environment: Mapping[str, str]) -> Iterator[Found]:
    """Every setting, and what the environment says of it."""
    for setting in SETTINGS:
        names = (setting.name, *setting.aliases)
        source = next((name for name in names if name in environment), None)
        value = environment[source] if source else None
        yield Found(setting, MASK if setting.secret and value else value, source)
    for variable in sorted(environment):
        for prefix, meaning in PREFIXES.items():
            if variable.startswith(prefix):
                # Anything may be the value of a parameter.
                yield Found(Setting(variable, meaning, secret=True), MASK, variable)
