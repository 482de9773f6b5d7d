"""Whole objects to and from S3: in parallel, resumed where they break, verified where they can be."""

from __future__ import annotations

import base64
import hashlib
import random
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

from flowsdk.datastore import hashing
from flowsdk.datastore.memory import in_memory
from flowsdk.exception import DatastoreError
from flowsdk.s3.errors import refused, translated
from flowsdk.s3.lanes import Lanes
from flowsdk.s3.upload import Upload
from flowsdk.s3.wire import Answer, Broken, Call, Wire

Buffer: TypeAlias = bytes | bytearray | memoryview

#: From this size on an object is sent in parts.
MULTIPART_FROM = 16 * 1024 * 1024
#: Seconds before what failed is tried again, as long as it fails without any progress; each is
#: stretched at random, so that many clients do not come back at once.
_PAUSES = (0.05, 0.1, 0.3, 1.0, 3.0, 5.0, 10.0)
#: An object up to this is read over one connection where all lanes are in use: to leave what has been
#: asked for costs a connection, and others keep the line busy.
_WHOLE = 32 * 1024 * 1024
#: How often an object may change while it is read, or an upload be lost.
_STARTS = 4

#: Makes room for so many bytes; called again if the object has changed meanwhile.
Allocate = Callable[[int], memoryview]
#: Called with the place of a piece in the content and the piece, from the thread that fetched it.
Seen = Callable[[int, memoryview], None]


@dataclass(frozen=True)
class Content:
    """What was read of an object.

    Attributes:
        data: The bytes, in the buffer that was allocated.
        headers: S3's, by names in small letters.
    """

    data: memoryview = field(repr=False)
    headers: Mapping[str, str]


class _Changed(Exception):
    """Another object is there than when the transfer began."""


class Transfers:
    """Moves objects.

    How it works:
        A large object is read in ranges into one buffer – where all lanes are in use, one up to 32 MiB
        in one – and written in parts from the caller's. A range that breaks goes on where it broke, on
        another connection, but only of the same object (``If-Match``). Every request carries the
        SHA-256 of what it sends, which S3 checks. An object is visible once all of it is there: a
        broken upload is called off.
    What it does not do:
        An object of more than one piece is not compared with S3's checksum when it is read: of one that
        was sent in parts S3 keeps one of each part, and does not say where parts begin.

    Args:
        client: An S3 client of boto3 or botocore.
        lanes: How many requests may be under way; by default its own.
    """

    def __init__(self, client: Any, lanes: Lanes | None = None) -> None:
        self.client = client
        self.wire = Wire(client)
        self.lanes = lanes or Lanes()

    def get(
        self,
        bucket: str,
        key: str,
        start: int = 0,
        length: int | None = None,
        *,
        allocate: Allocate | None = None,
        seen: Seen | None = None,
        lead: int = 0,
        etag: str | None = None,
    ) -> Content:
        """Read an object or a range of it.

        Args:
            bucket: Where it is.
            key: Its key.
            start: The first byte; counted from the end if negative.
            length: How many bytes; by default all that follow.
            allocate: Makes the buffer; by default in memory.
            seen: Told of each piece.
            lead: The first piece is longer by so many bytes.
            etag: Only of the object that has it.

        Raises:
            KeyNotFound: There is no such object.
            DatastoreError: It could not be read, or there is nothing at ``start``.
        """
        place = {"Bucket": bucket, "Key": key}
        if start or length is not None:
            end = "" if length is None or start < 0 else start + length - 1
            place["Range"] = f"bytes={start}" if start < 0 else f"bytes={start}-{end}"
        if etag is not None:
            place["IfMatch"] = etag
        uri = f"s3://{bucket}/{key}"
        for _ in range(_STARTS):
            # Bound to this try: what another one has allocated holds another object.
            reading = _Reading(self, place, uri, allocate or in_memory, seen, lead)
            with suppress(_Changed), translated(uri):
                return reading.read()
        raise DatastoreError(f"{uri} changes all the time while it is read: {_STARTS} times.")

    def head(self, bucket: str, key: str) -> Mapping[str, str]:
        """What S3 knows of an object, as headers; raises KeyNotFound."""
        uri = f"s3://{bucket}/{key}"
        with translated(uri):
            answer = self.persist(Call("HeadObject", {"Bucket": bucket, "Key": key}), uri)
        if not answer.ok:
            raise refused(uri, answer)
        return answer.headers

    def put(
        self,
        bucket: str,
        key: str,
        parts: Sequence[Buffer],
        *,
        if_absent: bool = False,
        piece_digests: Sequence[bytes] = (),
        described: Mapping[str, Any] | None = None,
        sent: Callable[[int], None] | None = None,
    ) -> bool:
        """Write an object.

        Args:
            bucket: Where to.
            key: Its key.
            parts: The content, to be concatenated; it must not change meanwhile.
            if_absent: Leave an object that is already there as it is.
            piece_digests: SHA-256 of each piece (``hashing.PIECE``) of what follows the first of
                ``parts``, if the caller has them.
            described: ``ContentType``, ``Metadata`` and ``ServerSideEncryption``, as boto3 takes them.
            sent: Told of how many bytes have been sent, from the threads that did.

        Returns:
            Whether this content is there now; False only with ``if_absent``.

        Raises:
            DatastoreError: It could not be written.
        """
        views = [memoryview(part).cast("B") for part in parts]
        size = sum(view.nbytes for view in views)
        params = {"Bucket": bucket, "Key": key, **(described or {})}
        uri = f"s3://{bucket}/{key}"
        with translated(uri):
            if size < MULTIPART_FROM:
                return self._put_at_once(params, views, uri, if_absent)
            for _ in range(_STARTS):
                upload = Upload(self, params, views, uri, sent, piece_digests)
                done = upload.send(if_absent=if_absent)
                if done is not None:
                    return done
        raise DatastoreError(f"{uri}: S3 has lost {_STARTS} uploads of it.")

    def _put_at_once(
        self, params: dict[str, Any], views: Sequence[memoryview], uri: str, if_absent: bool
    ) -> bool:
        call = Call.carrying(
            "PutObject", {**params, **({"IfNoneMatch": "*"} if if_absent else {})}, views
        )
        answer = self.persist(call, uri, own=True)
        if answer.ok:
            return True
        if answer.status == 412 and if_absent:
            return False
        raise refused(uri, answer)

    def persist(self, call: Call, uri: str, *, own: bool = False) -> Answer:
        """Send a request without a body to read until it is answered.

        Args:
            call: The request.
            uri: What it is about, for errors.
            own: It is a conditional write: where one of its tries was carried out although no answer
                came, S3 refuses the next. If what is there is its content, it counts as done.
        """
        trials, doubtful = Trials(uri, self.lanes), False
        while True:
            try:
                answer = self.wire.send(call)
            except Broken as broken:
                doubtful = True
                trials.failed(broken.why)
                continue
            if answer.busy or answer.code == "ConditionalRequestConflict":
                doubtful = doubtful or answer.status >= 500
                trials.failed(answer.told, busy=answer.busy)
                continue
            if own and doubtful and answer.status == 412:
                there = self.get(call.params["Bucket"], call.params["Key"]).data
                if hashlib.sha256(there).hexdigest() == call.sha256:
                    return Answer(200, answer.headers)
            return answer


class Trials:
    """Counts failures in a row, and waits after each.

    Args:
        uri: What is tried, for errors.
        lanes: Learn of it where S3 is too busy.
    """

    def __init__(self, uri: str, lanes: Lanes) -> None:
        self._uri = uri
        self._lanes = lanes
        self._failures = 0

    def failed(self, why: str, *, progress: bool = False, busy: bool = False) -> None:
        """Wait before the next try; raises DatastoreError if there have been enough.

        Args:
            why: What went wrong.
            progress: Something was moved, so this is not a failure in a row.
            busy: S3 asks for fewer requests.
        """
        if progress:
            self._failures = 0
        if self._failures == len(_PAUSES):
            tries = self._failures + 1
            raise DatastoreError(f"S3 request on {self._uri} failed {tries} times: {why}.")
        if busy:
            self._lanes.slow_down()
        time.sleep(_PAUSES[self._failures] * random.uniform(0.5, 1.5))
        self._failures += 1


class _Reading:
    """One object on its way here."""

    def __init__(
        self,
        transfers: Transfers,
        place: Mapping[str, str],
        uri: str,
        allocate: Allocate,
        seen: Seen | None,
        lead: int,
    ) -> None:
        self._transfers = transfers
        self._place = place
        self._uri = uri
        self._allocate = allocate
        self._seen = seen
        self._first_piece = hashing.PIECE + lead
        self._data: memoryview | None = None
        self._headers: Mapping[str, str] = {}
        self._offset = 0
        self._asked = 0

    def read(self) -> Content:
        received = self._begin()
        data = self._data
        if data is None:  # an empty object has no ranges
            return Content(self._allocate(0), self._headers)
        missing: list[tuple[int, memoryview, int]] = []
        cuts = range(self._first_piece, data.nbytes, hashing.PIECE)
        for at, end in pairwise((0, *cuts, data.nbytes)):
            if received < end:
                missing.append((at, data[at:end], max(0, received - at)))
            elif self._seen:
                self._seen(at, data[at:end])
        if missing:
            self._transfers.lanes.run(self._fill, missing)
        return Content(data, self._headers)

    def _begin(self) -> int:
        """Ask for all; how much of it has come. S3 tells the size with the first bytes."""
        call = Call("GetObject", {**self._place, "ChecksumMode": "ENABLED"})
        trials = Trials(self._uri, self._transfers.lanes)
        while True:
            try:
                answer = self._transfers.wire.send(call, self._make_room)
            except Broken as broken:
                if broken.received:
                    return broken.received
                trials.failed(broken.why)
                continue
            if answer.busy:
                trials.failed(answer.told, busy=True)
            elif not answer.ok:
                if answer.status == 416 and answer.headers.get("content-range") == "bytes */0":
                    return 0
                raise refused(self._uri, answer)
            elif self._data is not None and not _fits(self._data, answer.headers):
                trials.failed("what came does not have the checksum that S3 keeps")
            else:
                return self._asked

    def _make_room(self, headers: Mapping[str, str]) -> memoryview:
        size = int(headers["content-length"])
        self._headers = headers
        if span := headers.get("content-range", ""):
            self._offset = int(span.removeprefix("bytes ").partition("-")[0])
        if self._data is None or self._data.nbytes != size:
            self._data = self._allocate(size)
        # What is asked for and not read costs the connection: not where all lanes are in use.
        whole = self._transfers.lanes.full and size <= _WHOLE
        self._asked = size if whole else min(size, self._first_piece)
        return self._data[: self._asked]

    def _fill(self, piece: tuple[int, memoryview, int]) -> int:
        """Read the rest of one piece, of which so much has come; goes on where a connection breaks."""
        at, view, received = piece
        begin = self._offset + at
        place = {name: self._place[name] for name in ("Bucket", "Key")}
        if etag := self._headers.get("etag"):
            place["IfMatch"] = etag
        trials = Trials(self._uri, self._transfers.lanes)
        while received < view.nbytes:
            rest = view[received:]
            span = f"{begin + received}-{begin + view.nbytes - 1}"
            call = Call("GetObject", {**place, "Range": f"bytes={span}"})
            try:
                answer = self._transfers.wire.send(call, _Span(span, rest))
            except Broken as broken:
                received += broken.received
                trials.failed(broken.why, progress=broken.received > 0)
                continue
            if answer.busy:
                trials.failed(answer.told, busy=True)
            elif answer.status in (404, 412, 416):
                raise _Changed
            elif not answer.ok:
                raise refused(self._uri, answer)
            else:
                received = view.nbytes
        if self._seen:
            self._seen(at, view)
        return view.nbytes


class _Span:
    """The sink of a range: what comes must be what was asked for."""

    def __init__(self, span: str, view: memoryview) -> None:
        self._span = span
        self._view = view

    def __call__(self, headers: Mapping[str, str]) -> memoryview:
        found = headers.get("content-range", "no range")
        length = int(headers.get("content-length", -1))
        if found.partition("/")[0] != f"bytes {self._span}" or length != self._view.nbytes:
            raise Broken(f"found {length} bytes of {found}, expected bytes {self._span}")
        return self._view


def _fits(data: memoryview, headers: Mapping[str, str]) -> bool:
    """Whether an object of one piece has the checksum that S3 keeps of it, if it keeps one."""
    if "content-range" in headers or data.nbytes > hashing.PIECE:
        return True
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
        return True
    if expected := headers.get("x-amz-checksum-sha256"):
        return "-" in expected or base64.b64decode(expected) == hashlib.sha256(data).digest()
    if expected := headers.get("x-amz-checksum-crc32"):
        return "-" in expected or base64.b64decode(expected) == zlib.crc32(data).to_bytes(4, "big")
    return True
