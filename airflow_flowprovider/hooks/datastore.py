"""The flows' datastore through an Airflow connection."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from botocore.config import Config

from airflow_flowprovider.config import CONNECTION_TYPE, ProviderConfig
from airflow_flowprovider.hooks.connection import FlowAwsHook
from flowsdk.datastore import FlowDatastore, Storage, open_storage
from flowsdk.exception import FlowException, UsageError


class FlowDatastoreHook(FlowAwsHook):
    """Where runs, results and artifacts lie.

    How it works:
        The root is, in this order, ``root``, the extra ``datastore`` of a connection of type
        ``flowprovider``, and ``[flowprovider] datastore``.

    Args:
        aws_conn_id: Connection of type ``aws`` or ``flowprovider``; None for boto3's own ways.
        region_name: By default the connection's.
        root: ``s3://bucket/prefix``.
    """

    # As flowsdk's own client has it: a join reads the results of many tasks at once.
    own_config = Config(
        max_pool_connections=64, retries={"mode": "adaptive", "total_max_attempts": 8}
    )
    conn_name_attr = "aws_conn_id"
    default_conn_name = "flowprovider_default"
    conn_type = CONNECTION_TYPE
    hook_name = "Flow datastore"

    def __init__(
        self,
        aws_conn_id: str | None = default_conn_name,
        region_name: str | None = None,
        *,
        root: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            aws_conn_id=aws_conn_id, region_name=region_name, **kwargs, client_type="s3"
        )
        self._root = root

    @classmethod
    def configured(cls) -> FlowDatastoreHook:
        """The hook that ``[flowprovider]`` asks for."""
        config = ProviderConfig.load()
        return cls(config.aws_conn_id, config.region_name)

    @cached_property
    def root(self) -> str:
        """URI of the datastore.

        Raises:
            UsageError: It is not configured, or not in S3.
        """
        root = (
            self._root
            or self.conn_config.extra_config.get("datastore")
            or ProviderConfig.load().datastore
        )
        if not root or not str(root).startswith("s3://"):
            raise UsageError(
                f"Datastore (connection {self.aws_conn_id!r}, [flowprovider] datastore): found "
                f"{root!r}, expected s3://bucket/prefix, which jobs and Airflow both reach. Set the "
                f"option, or the connection's extra 'datastore'."
            )
        return str(root).rstrip("/")

    @cached_property
    def storage(self) -> Storage:
        """The datastore's bytes; safe to share between threads."""
        return open_storage(self.root, self.conn)

    def store(self, flow: str) -> FlowDatastore:
        """The datastore of one flow."""
        return FlowDatastore(self.storage, flow)

    def test_connection(self) -> tuple[bool, str]:
        """Whether the datastore can be listed, for the button in Airflow's connection form."""
        try:
            flows = self.storage.children("")
        except FlowException as error:
            return False, str(error)
        return True, f"{self.root} can be read; flows with data: {len(flows)}"
