"""Where runs, results, logs, code and artifacts lie: in a folder or in S3."""

from __future__ import annotations

from flowsdk.datastore.storage import Storage, open_storage
from flowsdk.datastore.store import FlowDatastore

__all__ = ["FlowDatastore", "Storage", "open_storage"]
