"""Which metadata provider the client's objects ask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from flowsdk.client.metadata import MetadataProvider
from flowsdk.current_task import current
from flowsdk.exception import UsageError, did_you_mean
from flowsdk.local.root import default_root

_SCHEMES = ("local", "airflow", "s3")


class _Selection:
    """What ``metadata()`` was last given; None means the default."""

    name: str | None = None


def metadata(name: str) -> str:
    """Choose where runs are looked for, for all client objects made from now on.

    Args:
        name: ``local@/folder`` or ``s3://bucket/prefix`` for a datastore, ``local`` for the default
            one, or ``airflow@http://host:8080`` for the runs of an Airflow.

    Returns:
        The provider in full, as :func:`get_metadata` tells it.

    Raises:
        UsageError: There is no such kind of provider.
    """
    provider = provider_of(name)
    _Selection.name = provider.name
    return provider.name


@contextmanager
def looking_at(name: str | None) -> Iterator[None]:
    """Within, client objects are looked for where ``name`` says; see :func:`metadata`.

    None is the default, whatever has been chosen: in a running task, the task's own datastore.
    """
    before = _Selection.name
    if name is None:
        default_metadata()
    else:
        metadata(name)
    try:
        yield
    finally:
        _Selection.name = before


def get_metadata() -> str:
    """The provider in use, in the form that :func:`metadata` takes."""
    return current_provider().name


def default_metadata() -> str:
    """Go back to the default. Returns it.

    In a running task it is the task's own datastore, wherever the task runs: a flow finds the
    results of another one where both are run. Elsewhere it is FLOWSDK_METADATA, else the default
    datastore.
    """
    _Selection.name = None
    return get_metadata()


def current_provider() -> MetadataProvider:
    """The provider in use."""
    if _Selection.name is None and current._root:
        return _datastore(_absolute(current._root))
    return provider_of(_Selection.name or os.environ.get("FLOWSDK_METADATA") or "local")


def provider_of(name: str) -> MetadataProvider:
    """The provider that ``name`` means; see :func:`metadata`. Equal names share one.

    Raises:
        UsageError: There is no such kind of provider.
    """
    kind, _, place = name.partition("@")
    if name.startswith("s3://"):
        return _datastore(name)
    if kind == "local":
        return _datastore(_absolute(place or default_root()))
    if kind == "airflow" and place.startswith(("http://", "https://")):
        return _airflow(place.rstrip("/"))
    hint = did_you_mean(kind, _SCHEMES) if kind not in _SCHEMES else ""
    raise UsageError(
        f"Metadata provider: found {name!r}, expected local@/folder, s3://bucket/prefix or "
        f"airflow@http://host:port.{hint}"
    )


def _absolute(root: str) -> str:
    return root if "://" in root else str(Path(root).expanduser().absolute())


@lru_cache(maxsize=16)
def _datastore(root: str) -> MetadataProvider:
    from flowsdk.client.datastore_metadata import DatastoreMetadata

    return DatastoreMetadata(root)


@lru_cache(maxsize=16)
def _airflow(url: str) -> MetadataProvider:
    from flowsdk.client.airflow_metadata import AirflowMetadata

    return AirflowMetadata(url)
