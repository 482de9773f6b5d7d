"""``S3``: objects in S3 for flows, notebooks and scripts."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

from flowsdk.datastore.memory import in_memory
from flowsdk.datastore.s3 import make_client
from flowsdk.exception import (
    DatastoreError,
    KeyNotFound,
    S3AccessDenied,
    S3Exception,
    S3InvalidRange,
    S3NotFound,
    S3URLException,
)
from flowsdk.s3.content import FILES_FROM, content_of, file_content, mapped
from flowsdk.s3.objects import USER_METADATA, S3GetObject, S3Object, S3PutObject
from flowsdk.s3.places import run_root
from flowsdk.s3.progress import Progress
from flowsdk.s3.stream import open_stream
from flowsdk.s3.transfers import Transfers

T = TypeVar("T")
Asked: TypeAlias = "str | S3GetObject"


class S3:
    """Reads and writes objects, many at once.

    Purpose:
        Metaflow's client of the same name. ``S3(run=self)`` keeps data of a run, ``S3(s3root=…)``
        works below a prefix, and ``S3()`` takes full URLs.
    How it works:
        Within this process: objects travel in parallel over connections that are kept. Small ones
        are read into memory, large ones into files that are removed with :meth:`close`, which
        leaving the ``with`` does.

    Args:
        tmproot: Where the folder for these files is made.
        bucket: With ``run``: instead of the bucket of the datastore.
        prefix: With ``run``: instead of the prefix of the datastore.
        run: The flow (``self`` in a step) or a Run: the prefix is the run's own.
        s3root: The prefix, as ``s3://bucket/path``.
        encryption: Server-side encryption of what is written, such as ``aws:kms``.
        client_params: Arguments for boto3's ``client()``, such as ``endpoint_url``.

    Raises:
        S3URLException: Arguments contradict each other, or there is no datastore in S3.
    """

    def __init__(
        self,
        tmproot: str = ".",
        bucket: str | None = None,
        prefix: str | None = None,
        run: Any = None,
        s3root: str | None = None,
        encryption: str | None = None,
        client_params: Mapping[str, Any] | None = None,
    ) -> None:
        if run is not None and s3root is not None:
            raise S3URLException("S3: found both run and s3root, expected one of them.")
        if run is None and (bucket or prefix):
            raise S3URLException("S3: found a bucket or a prefix without a run. Give s3root.")
        root = run_root(run, bucket, prefix) if run is not None else s3root
        if root is not None and not root.startswith("s3://"):
            raise S3URLException(f"S3: found the prefix {root!r}, expected s3://bucket/path.")
        self._root = root.rstrip("/") if root else None
        self._tmproot = tmproot
        self._encryption = encryption
        self._params = dict(client_params or {})
        self._folder: str | None = None
        self._files = 0
        self._moves: Transfers | None = None

    def __enter__(self) -> S3:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the files that were read into. The client can go on."""
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    # -- reading

    def get(
        self, key: Asked | None = None, return_missing: bool = False, return_info: bool = True
    ) -> S3Object:
        """Read an object, or a range of it.

        Args:
            key: Its key, URL or an :class:`S3GetObject`; by default the prefix itself.
            return_missing: Give an object that does not exist instead of raising.
            return_info: Tell what S3 knows of it.

        Raises:
            S3NotFound: There is none.
            S3InvalidRange: It ends before the range begins.
        """
        with Progress("Downloading", 1) as progress:
            return self._get(self._url(key), key, return_missing, return_info, progress, self._root)

    def get_many(
        self, keys: Iterable[Asked], return_missing: bool = False, return_info: bool = True
    ) -> list[S3Object]:
        """Read objects in parallel, in the order of the keys; arguments as of :meth:`get`."""
        asked = [(self._url(key), key) for key in keys]
        with Progress("Downloading", len(asked)) as progress:
            return self._each(
                lambda one: self._get(
                    one[0], one[1], return_missing, return_info, progress, self._root
                ),
                asked,
                lambda found: found.size or 0,
            )

    def get_recursive(self, keys: Iterable[str], return_info: bool = False) -> list[S3Object]:
        """Read all objects below prefixes, in parallel."""
        listed = self.list_recursive(keys)
        with Progress("Downloading", len(listed)) as progress:
            return self._each(
                lambda one: self._get(one.url, None, False, return_info, progress, one.prefix),
                listed,
                lambda found: found.size or 0,
            )

    def get_all(self, return_info: bool = False) -> list[S3Object]:
        """Read all objects below the prefix that the client was made with."""
        if self._root is None:
            raise S3URLException(
                "S3.get_all: found no prefix. Make the client with s3root= or run=."
            )
        return self.get_recursive([""], return_info)

    def open(self, key: str) -> io.BufferedReader:
        """An object as a binary file, of which only what is read is fetched."""
        bucket, name = _place(self._url(key))
        with _raised():
            return open_stream(self._transfers, bucket, name)

    def info(self, key: str | None = None, return_missing: bool = False) -> S3Object:
        """What S3 knows of an object, without reading it; arguments as of :meth:`get`."""
        url = self._url(key)
        try:
            with _raised():
                headers = self._transfers.head(*_place(url))
        except S3NotFound:
            if return_missing:
                return S3Object(self._root, url)
            raise
        return S3Object(self._root, url, int(headers["content-length"]), headers=headers)

    def info_many(self, keys: Iterable[str], return_missing: bool = False) -> list[S3Object]:
        """:meth:`info` of several objects, in parallel."""
        return self._each(lambda key: self.info(key, return_missing), list(keys))

    def list_paths(self, keys: Iterable[str] | None = None) -> list[S3Object]:
        """The next level below prefixes; of what is no object ``exists`` is False."""
        return self._list(keys, "/")

    def list_recursive(self, keys: Iterable[str] | None = None) -> list[S3Object]:
        """All objects below prefixes."""
        return self._list(keys, "")

    # -- writing

    def put(
        self,
        key: str | S3PutObject,
        obj: Any = None,
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Write an object; gives its URL.

        Args:
            key: Its key, its URL, or all of it as an :class:`S3PutObject`.
            obj: Text, which is stored in UTF-8, bytes, or a binary file.
            overwrite: Whether an object that is there is replaced; otherwise it stays as it is.
            content_type: MIME type.
            metadata: Names and values to be kept with it, as JSON.

        Raises:
            S3InvalidObject: ``obj`` is something else.
        """
        given = key if isinstance(key, S3PutObject) else S3PutObject(key, obj)
        given = given._replace(
            content_type=content_type or given.content_type, metadata=metadata or given.metadata
        )
        with Progress("Uploading", 1) as progress:
            self._put(given, content_of(given.key, given.value), overwrite, progress)
        return self._url(given.key)

    def put_many(
        self, key_objs: Iterable[tuple[str, Any] | S3PutObject], overwrite: bool = True
    ) -> list[tuple[str, str]]:
        """Write objects in parallel; gives keys and URLs of those that were written.

        Args:
            key_objs: Pairs of a key and an object, or :class:`S3PutObject`.
            overwrite: As of :meth:`put`.
        """
        given = [one if isinstance(one, S3PutObject) else S3PutObject(*one) for one in key_objs]
        return self._put_each(given, overwrite, lambda one: content_of(one.key, one.value))

    def put_files(
        self, key_paths: Iterable[tuple[str, str] | S3PutObject], overwrite: bool = True
    ) -> list[tuple[str, str]]:
        """Write files in parallel; gives keys and URLs of those that were written.

        Args:
            key_paths: Pairs of a key and a path, or :class:`S3PutObject` with a path.
            overwrite: As of :meth:`put`.

        Raises:
            S3NotFound: There is no such file.
        """
        given = [
            one if isinstance(one, S3PutObject) else S3PutObject(one[0], path=str(one[1]))
            for one in key_paths
        ]
        for one in given:
            if one.path is None or not Path(one.path).is_file():
                raise S3NotFound(f"S3.put_files ({one.key}): found no file {one.path}.")
        return self._put_each(given, overwrite, lambda one: file_content(str(one.path)))

    # -- how

    @property
    def _transfers(self) -> Transfers:
        if self._moves is None:
            self._moves = (
                Transfers(make_client(**self._params)) if self._params else _of_process(_identity())
            )
        return self._moves

    def _url(self, key: Asked | None) -> str:
        name = key.key if isinstance(key, S3GetObject) else key
        if self._root is None:
            if name is None or not name.startswith("s3://"):
                raise S3URLException(
                    f"S3: found the key {name!r}, expected a URL such as s3://bucket/key. Make the "
                    "client with s3root= or run= to use keys."
                )
            return name
        if not name:
            return self._root
        if name.startswith("s3://"):
            raise S3URLException(
                f"S3: found the URL {name}, expected a key below {self._root}. Make the client "
                "without s3root and run to use URLs."
            )
        return f"{self._root}/{name.lstrip('/')}"

    def _get(
        self,
        url: str,
        key: Asked | None,
        return_missing: bool,
        return_info: bool,
        progress: Progress,
        prefix: str | None,
    ) -> S3Object:
        start, length = (key.offset, key.length) if isinstance(key, S3GetObject) else (0, None)
        file: str | None = None

        def room(size: int) -> memoryview:
            nonlocal file
            if size < FILES_FROM:
                return in_memory(size)
            file = self._new_file()
            return mapped(file, size)

        try:
            with _raised():
                content = self._transfers.get(
                    *_place(url),
                    start,
                    None if length is None or length < 0 else length,
                    allocate=room,
                    seen=lambda _, piece: progress.add(piece.nbytes),
                )
        except S3NotFound:
            if return_missing:
                return S3Object(prefix, url)
            raise
        progress.add(0, 1)
        headers = content.headers if return_info else {}
        size = content.data.nbytes
        # A mapping keeps a file descriptor, so a file is mapped again by whoever looks into it.
        data = content.data if file is None else None
        return S3Object(prefix, url, size, data, file, self._keep, headers)

    def _list(self, keys: Iterable[str] | None, delimiter: str) -> list[S3Object]:
        def below(key: str | None) -> list[S3Object]:
            url = self._url(key).rstrip("/")
            bucket, name = _place(f"{url}/")
            with _raised():
                return list(_listed(self._transfers.client, bucket, name, delimiter))

        found = self._each(below, [None] if keys is None else list(keys))
        return [one for some in found for one in some]

    def _put_each(
        self,
        given: Sequence[S3PutObject],
        overwrite: bool,
        content: Callable[[S3PutObject], memoryview],
    ) -> list[tuple[str, str]]:
        urls = [self._url(one.key) for one in given]
        with Progress("Uploading", len(given)) as progress:
            done = self._each(lambda one: self._put(one, content(one), overwrite, progress), given)
        return [(one.key, url) for one, url, put in zip(given, urls, done, strict=True) if put]

    def _put(
        self, given: S3PutObject, content: memoryview, overwrite: bool, progress: Progress
    ) -> bool:
        described = {
            "ContentType": given.content_type,
            "ServerSideEncryption": given.encryption or self._encryption,
            "Metadata": {USER_METADATA: json.dumps(given.metadata)} if given.metadata else None,
        }
        bucket, name = _place(self._url(given.key))
        with _raised():
            if not overwrite and self.info(given.key, return_missing=True).exists:
                return False
            written = self._transfers.put(
                bucket,
                name,
                [content],
                if_absent=not overwrite,
                described={name: value for name, value in described.items() if value},
                sent=progress.add,
            )
        progress.add(0, 1)
        return written

    def _each(
        self,
        work: Callable[[Any], T],
        items: Sequence[Any],
        size: Callable[[T], int] = lambda _: 0,
    ) -> list[T]:
        """What ``work`` gives for each item, in order; several at once."""
        results: dict[int, T] = {}

        def one(item: tuple[int, Any]) -> int:
            results[item[0]] = work(item[1])
            return size(results[item[0]])

        self._transfers.lanes.run(one, enumerate(items))
        return [results[index] for index in range(len(items))]

    def _new_file(self) -> str:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(dir=self._tmproot, prefix="flowsdk.s3.")
        handle, path = tempfile.mkstemp(dir=self._folder)
        os.close(handle)
        return path

    def _keep(self, data: memoryview) -> str:
        path = self._new_file()
        Path(path).write_bytes(data)
        return path


def _identity() -> tuple[object, ...]:
    """What decides which connections can be used again: the process and how it reaches AWS."""
    settings = sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))
    return (os.getpid(), *settings)


@lru_cache(maxsize=1)
def _of_process(_: tuple[object, ...]) -> Transfers:
    """The transfers that all clients share: making an S3 client takes a tenth of a second."""
    return Transfers(make_client())


def _place(url: str) -> tuple[str, str]:
    """Bucket and key of a URL."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not bucket:
        raise S3URLException(f"S3: found the URL {url!r}, expected s3://bucket/key.")
    return bucket, key


@contextmanager
def _raised() -> Iterator[None]:
    """The transfers' errors as those of the client."""
    try:
        yield
    except KeyNotFound as error:
        raise S3NotFound(error.message) from error
    except DatastoreError as error:
        for words, kind in (
            ("InvalidRange", S3InvalidRange),
            ("AccessDenied", S3AccessDenied),
            ("Forbidden", S3AccessDenied),
        ):
            if words in error.message:
                raise kind(error.message) from error
        raise S3Exception(error.message) from error


def _listed(client: Any, bucket: str, prefix: str, delimiter: str) -> Iterator[S3Object]:
    from flowsdk.s3.errors import translated

    base = f"s3://{bucket}/"
    asked = {"Bucket": bucket, "Prefix": prefix.lstrip("/"), "Delimiter": delimiter}
    with translated(f"{base}{prefix}"):
        for page in client.get_paginator("list_objects_v2").paginate(**asked):
            rows = [(one["Key"], one["Size"]) for one in page.get("Contents", ())]
            rows += [(one["Prefix"], None) for one in page.get("CommonPrefixes", ())]
            for name, size in sorted(rows):
                yield S3Object(base + prefix, base + name, size)
