"""A datastore in S3."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from flowsdk.datastore.storage import Buffer, Entry, Storage
from flowsdk.exception import DatastoreError, KeyNotFound, UsageError
from flowsdk.s3.errors import MISSING, translated
from flowsdk.s3.transfers import Transfers

if TYPE_CHECKING:
    from flowsdk.datastore.hashing import PieceDigests

#: Connections a client keeps; boto3's default of 10 would queue the parallel reads of a join.
_CONNECTIONS = 64
#: The most that one DeleteObjects takes.
_DELETED_AT_ONCE = 1000
#: An object not older than this need not be freshened.
_FRESH_SECONDS = 12 * 3600
#: What browsers take an object for, by the end of its key: cards are looked at straight from S3.
_CONTENT_TYPES = {"html": "text/html; charset=utf-8", "json": "application/json"}


class S3Storage(Storage):
    """Objects under a prefix of a bucket.

    How it works:
        ``if_absent`` is S3's conditional write (``If-None-Match: *``), so the first of several
        concurrent writers wins. Contents travel by :class:`~flowsdk.s3.transfers.Transfers`, which is also
        asked whether they are there; all else by botocore, which also retries it.

    Args:
        root: ``s3://bucket/prefix``.
        client: An S3 client of boto3 or botocore; by default one is made from the environment when
            first needed.

    Raises:
        UsageError: ``root`` names no bucket.
    """

    remote = True

    def __init__(self, root: str, client: Any = None) -> None:
        bucket, _, prefix = root.removeprefix("s3://").rstrip("/").partition("/")
        if not bucket:
            raise UsageError(
                f"Datastore root {root!r} names no bucket: expected s3://bucket/prefix."
            )
        self.bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self.root = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client = client
        self._transfers: Transfers | None = None
        self._lock = threading.Lock()

    @property
    def client(self) -> Any:
        """The S3 client; made once, safe to share between threads."""
        with self._lock:
            if self._client is None:
                self._client = make_client()
        return self._client

    @property
    def transfers(self) -> Transfers:
        """What moves objects; made once, safe to share between threads."""
        client = self.client
        with self._lock:
            if self._transfers is None:
                self._transfers = Transfers(client)
        return self._transfers

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        if length == 0:
            return b""
        return bytes(self.transfers.get(self.bucket, self._prefix + key, start, length).data)

    def view(self, key: str, seen: PieceDigests | None = None) -> memoryview:
        return self.transfers.get(
            self.bucket,
            self._prefix + key,
            seen=seen.add if seen else None,
            lead=seen.lead if seen else 0,
        ).data

    def write(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        if_absent: bool = False,
        piece_digests: Sequence[bytes] = (),
    ) -> bool:
        kind = _CONTENT_TYPES.get(key.rpartition(".")[2])
        return self.transfers.put(
            self.bucket,
            self._prefix + key,
            parts,
            if_absent=if_absent,
            piece_digests=piece_digests,
            described={"ContentType": kind} if kind else None,
        )

    def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            batch = [{"Key": self._prefix + key} for key in keys[start : start + _DELETED_AT_ONCE]]
            with translated(self.uri(keys[start])):
                answer = self.client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True}
                )
            if failed := answer.get("Errors"):
                why = "; ".join(f"{e['Key']}: {e.get('Message', e['Code'])}" for e in failed)
                raise DatastoreError(f"{self.root}: not everything could be deleted: {why}.")

    def modified(self, key: str) -> float | None:
        try:
            head = self.transfers.head(self.bucket, self._prefix + key)
        except KeyNotFound:
            return None
        return parsedate_to_datetime(head["last-modified"]).timestamp()

    def freshen(self, key: str) -> bool:
        place = {"Bucket": self.bucket, "Key": self._prefix + key}
        modified = self.modified(key)
        with translated(self.uri(key)) as failure:
            failure.allow(*MISSING)
            if modified is not None and time.time() - modified > _FRESH_SECONDS:
                from s3transfer.manager import TransferManager  # what boto3 copies with

                # Onto itself: S3 allows that where something about the object is replaced.
                extra = {"MetadataDirective": "REPLACE"}
                with TransferManager(self.client) as manager:
                    manager.copy(place, self.bucket, place["Key"], extra_args=extra).result()
        return modified is not None and not failure.met

    def entries(self, prefix: str) -> Iterator[Entry]:
        for page in self._pages(prefix, delimiter=""):
            for item in page.get("Contents", ()):
                key = item["Key"][len(self._prefix) :]
                yield Entry(key, item["Size"], item["LastModified"].timestamp())

    def keys(self, prefix: str) -> Iterator[str]:
        for page in self._pages(prefix, delimiter=""):
            for item in page.get("Contents", ()):
                yield item["Key"][len(self._prefix) :]

    def children(self, prefix: str) -> list[str]:
        names = set()
        start = len(self._prefix) + len(prefix)
        for page in self._pages(prefix, delimiter="/"):
            names |= {item["Prefix"][start:-1] for item in page.get("CommonPrefixes", ())}
            names |= {item["Key"][start:] for item in page.get("Contents", ())}
        return sorted(names)

    def _pages(self, prefix: str, delimiter: str) -> Iterator[dict[str, Any]]:
        with translated(self.uri(prefix)):
            yield from self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._prefix + prefix, Delimiter=delimiter
            )


def make_client(session: Any = None, **params: Any) -> Any:
    """An S3 client for many parallel requests, botocore's own: boto3's takes longer to import.

    Args:
        session: The botocore session to make it from; by default the environment's.
        params: More arguments for its ``create_client``; a ``config`` goes before what is set here.
    """
    from botocore.config import Config
    from botocore.session import get_session

    config = Config(
        signature_version="s3v4",
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "adaptive", "total_max_attempts": 8},
    ).merge(params.pop("config", None) or Config())
    return (session or get_session()).create_client("s3", config=config, **params)
