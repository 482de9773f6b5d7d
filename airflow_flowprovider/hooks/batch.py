"""AWS Batch through an Airflow connection."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from botocore.config import Config

from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.hooks.connection import FlowAwsHook
from flowsdk.aws_batch.jobs import BatchJobs

#: For SubmitJob, see ``BatchJobs``.
_ONCE = Config(retries={"total_max_attempts": 1})


class FlowBatchHook(FlowAwsHook):
    """Jobs in AWS Batch, and what their containers print.

    Args:
        aws_conn_id: Connection of type ``aws`` or ``flowprovider``; None for boto3's own ways.
        region_name: By default the connection's.
    """

    # Standard: adaptive would hold back all requests of a client after one was throttled.
    own_config = Config(retries={"mode": "standard", "total_max_attempts": 8})

    def __init__(
        self,
        aws_conn_id: str | None = FlowAwsHook.default_conn_name,
        region_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            aws_conn_id=aws_conn_id, region_name=region_name, **kwargs, client_type="batch"
        )

    @classmethod
    def configured(cls) -> FlowBatchHook:
        """The hook that ``[flowprovider]`` asks for."""
        config = ProviderConfig.load()
        return cls(config.aws_conn_id, config.region_name)

    @cached_property
    def jobs(self) -> BatchJobs:
        """Submit, find, describe and terminate jobs; safe to share between threads."""
        return BatchJobs(self.conn, self.submit_client)

    @property
    def region(self) -> str | None:
        """Where the jobs are."""
        region: str | None = self.conn_region_name
        return region

    def submit_client(self) -> Any:
        """A boto3 client of AWS Batch that sends each request once."""
        config = self.config.merge(_ONCE)
        return self.get_client_type(region_name=self.region_name, config=config)

    def log_client(self) -> Any:
        """A boto3 client of CloudWatch Logs."""
        hook = FlowAwsHook(self.aws_conn_id, region_name=self._region_name, client_type="logs")
        return hook.conn
