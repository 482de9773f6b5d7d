"""A datastore in S3."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from flowsdk.datastore.storage import Buffer, Entry, Storage
from flowsdk.exception import DatastoreError, KeyNotFound, UsageError

#: From this size on an object is sent in parallel parts. S3 takes up to 5 GiB in one PUT, but one
#: connection does not fill a link. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MULTIPART_FROM = 32 * 1024 * 1024
#: Connections a client keeps; boto3's default of 10 would queue the parallel reads of a join.
_CONNECTIONS = 64
#: Seconds before a conditional write that met another one is repeated.
_CONFLICT_PAUSES = (0.1, 0.3, 1.0, 3.0)
#: Seconds before a read that broke off is repeated.
_BROKEN_READ_PAUSES = (0.1, 0.5, 2.0)
#: The most that one DeleteObjects takes.
_DELETED_AT_ONCE = 1000
#: An object not older than this need not be freshened.
_FRESH_SECONDS = 12 * 3600
#: What browsers take an object for, by the end of its key: cards are looked at straight from S3.
_CONTENT_TYPES = {"html": "text/html; charset=utf-8", "json": "application/json"}
_MISSING = {"NoSuchKey", "404", "NotFound"}


class S3Storage(Storage):
    """Objects under a prefix of a bucket.

    How it works:
        ``if_absent`` is S3's conditional write (``If-None-Match: *``), so the first of several
        concurrent writers wins; objects that are sent in parts are only looked for first, which is
        enough for blobs, whose content is the same whoever writes them. Throttling and server errors are retried by botocore.

    Args:
        root: ``s3://bucket/prefix``.
        client: A boto3 S3 client; by default one is made from the environment when first needed.

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
        self._lock = threading.Lock()

    @property
    def client(self) -> Any:
        """The boto3 client; made once, safe to share between threads."""
        with self._lock:
            if self._client is None:
                self._client = make_client()
        return self._client

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        if length == 0:
            return b""
        extra = {}
        if start or length is not None:
            end = "" if length is None else start + length - 1
            extra["Range"] = f"bytes={start}-{end}"
        with _translated(self.uri(key)):
            data = self._get({"Bucket": self.bucket, "Key": self._prefix + key, **extra})
        return data  # noqa: RET504  # mypy takes a `return` inside for one that may be skipped

    def _get(self, request: dict[str, str]) -> bytes:
        """GET, repeated if the connection breaks: botocore itself retries up to the headers only."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        for pause in _BROKEN_READ_PAUSES:
            try:
                return self._get_once(request)
            except (HTTPClientError, IncompleteReadError):
                time.sleep(pause)
        return self._get_once(request)

    def _get_once(self, request: dict[str, str]) -> bytes:
        return bytes(self.client.get_object(**request)["Body"].read())

    def write(self, key: str, parts: Sequence[Buffer], *, if_absent: bool = False) -> bool:
        size = sum(memoryview(part).nbytes for part in parts)
        place = {"Bucket": self.bucket, "Key": self._prefix + key}
        kind = _CONTENT_TYPES.get(key.rpartition(".")[2])
        described = {"ContentType": kind} if kind else {}
        with _translated(self.uri(key)) as failure:
            if size >= _MULTIPART_FROM:
                if if_absent and self.exists(key):
                    return False
                self.client.upload_fileobj(_PartsReader(parts), **place, ExtraArgs=described)
                return True
            body = b"".join(parts)
            if not if_absent:
                self.client.put_object(Body=body, **place, **described)
                return True
            failure.allow("PreconditionFailed", "412")
            self._put_if_absent(body, {**place, **described})
        return not failure.met

    def _put_if_absent(self, body: bytes, place: dict[str, str]) -> None:
        """A conditional PUT. 409 says that another request is under way there: S3 wants it repeated.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        for pause in _CONFLICT_PAUSES:
            try:
                self.client.put_object(Body=body, IfNoneMatch="*", **place)
            except self.client.exceptions.ClientError as error:
                if error.response.get("Error", {}).get("Code") != "ConditionalRequestConflict":
                    raise
                time.sleep(pause)
            else:
                return
        self.client.put_object(Body=body, IfNoneMatch="*", **place)

    def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            batch = [{"Key": self._prefix + key} for key in keys[start : start + _DELETED_AT_ONCE]]
            with _translated(self.uri(keys[start])):
                answer = self.client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True}
                )
            if failed := answer.get("Errors"):
                why = "; ".join(f"{e['Key']}: {e.get('Message', e['Code'])}" for e in failed)
                raise DatastoreError(f"{self.root}: not everything could be deleted: {why}.")

    def modified(self, key: str) -> float | None:
        with _translated(self.uri(key)) as failure:
            failure.allow(*_MISSING)
            head = self.client.head_object(Bucket=self.bucket, Key=self._prefix + key)
        return None if failure.met else head["LastModified"].timestamp()

    def freshen(self, key: str) -> bool:
        place = {"Bucket": self.bucket, "Key": self._prefix + key}
        modified = self.modified(key)
        with _translated(self.uri(key)) as failure:
            failure.allow(*_MISSING)
            if modified is not None and time.time() - modified > _FRESH_SECONDS:
                # Onto itself: S3 allows that where something about the object is replaced.
                extra = {"MetadataDirective": "REPLACE"}
                self.client.copy(place, self.bucket, place["Key"], ExtraArgs=extra)
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
        with _translated(self.uri(prefix)):
            yield from self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._prefix + prefix, Delimiter=delimiter
            )


def make_client(session: Any = None) -> Any:
    """A boto3 S3 client for many parallel requests.

    Args:
        session: The boto3 session to make it from; by default the environment's.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        max_pool_connections=_CONNECTIONS, retries={"mode": "adaptive", "total_max_attempts": 8}
    )
    return (session or boto3.session.Session()).client("s3", config=config)


class _translated:  # noqa: N801  # reads as the verb it is: `with _translated(uri):`
    """Turns botocore's errors into ours; error codes that are allowed set ``met`` instead."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._allowed: set[str] = set()
        self.met = False

    def allow(self, *codes: str) -> None:
        self._allowed |= set(codes)

    def __enter__(self) -> _translated:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if error is None:
            return False
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in self._allowed:
                self.met = True
                return True
            if code in _MISSING:
                raise KeyNotFound(f"No object {self._uri}.") from error
        if isinstance(error, (ClientError, BotoCoreError, Boto3Error)):
            raise DatastoreError(f"S3 request on {self._uri} failed: {error}") from error
        return False


class _PartsReader(io.RawIOBase):
    """A file over several buffers, so that they need not be joined to be uploaded."""

    def __init__(self, parts: Sequence[Buffer]) -> None:
        self._parts = [memoryview(part).cast("B") for part in parts]
        self._size = sum(part.nbytes for part in self._parts)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, min(self._size, base + offset))
        return self._at

    def readinto(self, buffer: Any) -> int:
        target = memoryview(buffer).cast("B")
        done, skip = 0, self._at
        for part in self._parts:
            if skip >= part.nbytes:
                skip -= part.nbytes
                continue
            count = min(part.nbytes - skip, target.nbytes - done)
            target[done : done + count] = part[skip : skip + count]
            done, skip = done + count, 0
            if done == target.nbytes:
                break
        self._at += done
        return done
