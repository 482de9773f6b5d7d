"""Links from a task in Airflow's UI to its job in the AWS console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

#: XCom key of what the links are made of: ``{"id", "region", "log_group", "log_stream"}``.
JOB_KEY = "batch_job"


def job_xcom(
    job_id: str, region: str | None, log_group: str, log_stream: str | None
) -> dict[str, Any]:
    """The value of the XCom ``JOB_KEY``."""
    return {"id": job_id, "region": region, "log_group": log_group, "log_stream": log_stream}


class BatchJobLink(BaseOperatorLink):
    """The job in the console of AWS Batch. Visible as soon as the job has been submitted."""

    name = "Batch job"
    #: Under which Airflow keeps the finished link.
    xcom_key = "_link_batch_job"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Address of the job's page; empty if no job is known."""
        job = _job(ti_key)
        return job_url(job.get("region"), job.get("id"))


class CloudWatchLogLink(BaseOperatorLink):
    """What the container printed, in CloudWatch. Known once the container has started."""

    name = "CloudWatch log"
    xcom_key = "_link_cloudwatch_log"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Address of the log stream's page; empty if no stream is known."""
        job = _job(ti_key)
        return log_url(job.get("region"), job.get("log_group"), job.get("log_stream"))


def job_url(region: str | None, job_id: str | None) -> str:
    """Address of a job's page in the console of AWS Batch; empty if something is not known."""
    if not region or not job_id:
        return ""
    return f"{_console(region)}/batch/home?region={region}#jobs/detail/{job_id}"


def log_url(region: str | None, log_group: str | None, log_stream: str | None) -> str:
    """Address of a log stream's page in the console of CloudWatch; empty if something is not known."""
    if not region or not log_group or not log_stream:
        return ""
    return (
        f"{_console(region)}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/"
        f"{_twice_quoted(log_group)}/log-events/{_twice_quoted(log_stream)}"
    )


def log_link_xcom(job: Mapping[str, Any]) -> dict[str, str]:
    """What Airflow keeps of the link to the log, where no worker follows that would find it.

    Args:
        job: As :func:`job_xcom` made it.
    """
    url = log_url(job["region"], job["log_group"], job["log_stream"])
    return {CloudWatchLogLink.xcom_key: url}


def _job(ti_key: TaskInstanceKey) -> dict[str, Any]:
    from airflow.sdk.execution_time.xcom import XCom

    found = XCom.get_value(key=JOB_KEY, ti_key=ti_key)
    return found if isinstance(found, dict) else {}


def _console(region: str) -> str:
    if region.startswith("cn-"):
        return "https://console.amazonaws.cn"
    if region.startswith("us-gov-"):
        return "https://console.amazonaws-us-gov.com"
    return "https://console.aws.amazon.com"


def _twice_quoted(text: str) -> str:
    """As the CloudWatch console wants names in its fragment: quoted, then ``%`` as ``$25``."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")
