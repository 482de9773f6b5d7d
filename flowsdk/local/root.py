"""Where runs lie unless somebody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from flowsdk.exception import UsageError

FOLDER = ".flowsdk"
VARIABLE = "FLOWSDK_DATASTORE"
#: Metaflow's name for the same, so that its users need not set it again.
_METAFLOW_S3 = "METAFLOW_DATASTORE_SYSROOT_S3"


def default_root(*, folder: bool = False) -> str:
    """URI of the datastore: ``FLOWSDK_DATASTORE``, the nearest ``.flowsdk`` upwards, or a new one here.

    Args:
        folder: Never S3, whatever the environment says.
    """
    root = os.environ.get(VARIABLE)
    if root and not (folder and root.startswith("s3://")):
        return root
    here = Path.cwd()
    for place in (here, *here.parents):
        if (place / FOLDER).is_dir():
            return str(place / FOLDER)
    return str(here / FOLDER)


def s3_root() -> str:
    """URI of the datastore in S3 that the environment names.

    Raises:
        UsageError: It names none.
    """
    root = os.environ.get(VARIABLE, "")
    if root.startswith("s3://"):
        return root
    if root := os.environ.get(_METAFLOW_S3, ""):
        return root
    raise UsageError(
        f"Datastore s3: found no s3://bucket/prefix in {VARIABLE} or {_METAFLOW_S3}. Set "
        f"{VARIABLE}, or pass --datastore-root s3://bucket/prefix."
    )
