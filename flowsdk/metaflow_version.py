"""``metaflow_version``, for flows that print which version they run with."""

from __future__ import annotations

from flowsdk.version import VERSION


def get_version() -> str:
    """The version of flowsdk, e.g. ``0.1.0``."""
    return VERSION
