"""Where the data of a run lies that a flow writes with ``S3(run=self)``."""

from __future__ import annotations

import os
from typing import Any

from flowsdk.current_task import current
from flowsdk.exception import S3URLException
from flowsdk.flow import FlowSpec

#: Metaflow's name of the setting, and what it puts below the datastore.
_VARIABLE = "METAFLOW_DATATOOLS_S3ROOT"
_FOLDER = "data"


def run_root(run: Any, bucket: str | None, prefix: str | None) -> str:
    """The prefix of a run.

    Args:
        run: The flow that is running, or a Run of the client.
        bucket: Instead of the datastore's.
        prefix: Instead of the datastore's.

    Raises:
        S3URLException: No task is running, or there is no datastore in S3.
    """
    pathspec: Any
    if isinstance(run, FlowSpec):
        if not current.is_running_flow:
            raise S3URLException(
                "S3(run=…): found no running task, expected a step of a flow or a Run. Use "
                "S3(run=Run('Flow/id')) or S3(s3root=…)."
            )
        pathspec = f"{current.flow_name}/{current.run_id}"
    elif not isinstance(pathspec := getattr(run, "pathspec", None), str):
        raise S3URLException(f"S3(run=…): found {run!r}, expected self or a Run.")
    place = "" if bucket and prefix else _data_root()
    place_bucket, _, place_prefix = place.removeprefix("s3://").partition("/")
    parts = (bucket or place_bucket, (prefix or place_prefix).strip("/"), pathspec)
    return "s3://" + "/".join(part for part in parts if part)


def _data_root() -> str:
    if named := os.environ.get(_VARIABLE):
        return named
    known = (
        current._root,
        os.environ.get("FLOWSDK_DATASTORE"),
        os.environ.get("METAFLOW_DATASTORE_SYSROOT_S3"),
    )
    for root in known:
        if root and root.startswith("s3://"):
            return f"{root.rstrip('/')}/{_FOLDER}"
    raise S3URLException(
        f"S3(run=…): found no datastore in S3. Set FLOWSDK_DATASTORE or {_VARIABLE} to "
        "s3://bucket/prefix, or use S3(s3root=…)."
    )
