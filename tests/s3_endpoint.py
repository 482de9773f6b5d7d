"""An S3 endpoint in memory, fast enough to measure clients with and able to fail as networks do.

It has S3's semantics as far as objects go: conditional requests of which one wins, ranges, multipart
uploads that are visible when they are complete, checksums that are verified, listings in pages. moto
has more of S3 and is some thirty times slower.

    python tests/s3_endpoint.py --port 9000
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import mmap
import random
import re
import socket
import socketserver
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_CHUNK = 1024 * 1024
_REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 404: "Not Found", 500: "Oops"}
_KEPT = ("content-type", "x-amz-server-side-encryption")
_SUMS: dict[str, Callable[[bytes | memoryview], bytes]] = {
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
}


class Refused(Exception):
    """An answer that is an error of S3's."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status, self.code = status, code


class Gone(Exception):
    """The connection is to be dropped."""


@dataclass
class Stored:
    """An object, or a part of one."""

    pieces: Sequence[memoryview]
    headers: dict[str, str] = field(default_factory=dict)
    etag: str = field(default_factory=lambda: uuid.uuid4().hex)
    modified: float = field(default_factory=time.time)

    @property
    def size(self) -> int:
        return sum(piece.nbytes for piece in self.pieces)


class Faults:
    """What goes wrong, at random: nothing by default.

    Args:
        seed: Of the random numbers.
        rate: The share of requests that something happens to.
        kinds: Of faults; by default all.
    """

    KINDS = (
        "reset",
        "lost answer",
        "500",
        "lost 500",
        "503",
        "cut",
        "slow",
        "flip",
        "short",
        "half",
    )

    def __init__(self, seed: int, rate: float, kinds: Sequence[str] = KINDS) -> None:
        self._random, self.rate, self._kinds = random.Random(seed), rate, kinds
        self._lock = threading.Lock()
        self.happened: dict[str, int] = {}

    def next(self, allowed: Sequence[str]) -> tuple[str, float]:
        """The fault of a request, and where in it, as a share of its bytes."""
        with self._lock:
            kind, place = self._random.choice(self._kinds), self._random.random()
            if self._random.random() >= self.rate or kind not in allowed:
                return "", place
            self.happened[kind] = self.happened.get(kind, 0) + 1
            return kind, place


class Endpoint:
    """A server on loopback; a context manager.

    Args:
        port: A free one by default.
        verify: Whether checksums are verified; measuring clients needs no more work on this side.
        smallest_part: As S3 has it; less for tests with small pieces.
    """

    def __init__(self, port: int = 0, *, verify: bool = True, smallest_part: int = 5 << 20) -> None:
        self.verify, self.smallest_part = verify, smallest_part
        self.faults: Faults | None = None
        self.latency = 0.0
        self.lock = threading.Lock()
        self.buckets: dict[str, dict[str, Stored]] = {}
        self.uploads: dict[str, tuple[str, str, dict[str, str], dict[int, Stored]]] = {}
        self.requests = 0
        self._server = _Server(("127.0.0.1", port), type("Bound", (_Connection,), {"place": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Endpoint:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def commit(self, bucket: str, key: str, stored: Stored, headers: Mapping[str, str]) -> None:
        """Make an object visible if its conditions hold."""
        with self.lock:
            objects = self.objects(bucket)
            if headers.get("if-none-match") == "*" and key in objects:
                raise Refused(412, "PreconditionFailed")
            objects[key] = stored

    def objects(self, bucket: str) -> dict[str, Stored]:
        """Of a bucket."""
        if bucket not in self.buckets:
            raise Refused(404, "NoSuchBucket")
        return self.buckets[bucket]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, block_on_close, request_queue_size = True, True, False, 512


class _Connection(socketserver.BaseRequestHandler):
    place: Endpoint

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.request.makefile("rb")
        try:
            while self._serve():
                pass
        except (Gone, OSError):
            # Without lingering: the other side sees a reset, not an end.
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            self.file.close()
            self.request.close()

    def _serve(self) -> bool:
        line = self.file.readline().decode("latin-1")
        if not line:
            return False
        self.method, target, _ = line.split(" ", 2)
        self.headers: dict[str, str] = {}
        while (line := self.file.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        path, _, query = target.partition("?")
        self.query = dict(parse_qsl(query, keep_blank_values=True))
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        self.place.requests += 1
        if self.place.latency:
            time.sleep(self.place.latency)
        if "100-continue" in self.headers.get("expect", ""):
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        reads = self.method == "GET" and bool(key)
        allowed = [kind for kind in Faults.KINDS if reads or kind not in ("cut", "flip", "short")]
        faults = self.place.faults
        self.fault, self.share = faults.next(allowed) if faults else ("", 0.0)
        if self.fault == "reset":
            raise Gone
        try:
            body = self._body()
            if self.fault in ("500", "503"):
                raise Refused(
                    int(self.fault), "SlowDown" if self.fault == "503" else "InternalError"
                )
            status, headers, pieces = self._carry_out(bucket, key, body)
            if self.fault == "lost answer":
                raise Gone
            if self.fault == "lost 500":
                raise Refused(500, "InternalError")
        except Refused as error:
            text = f"<Error><Code>{error.code}</Code><Message>-</Message></Error>"
            status, headers, pieces = error.status, {}, [memoryview(text.encode())]
        self._answer(status, headers, pieces)
        return self.headers.get("connection", "").lower() != "close"

    # -- bodies

    def _body(self) -> memoryview:
        length = int(self.headers.get("content-length", 0))
        if self.fault == "half" and length:
            self.file.read(int(length * self.share))
            raise Gone
        room = memoryview(mmap.mmap(-1, length) if length >= _CHUNK else bytearray(length))
        got = 0
        while got < length:
            count = self.file.readinto(room[got:])
            if not count:
                raise Gone
            got += count
        sent = self.headers.get("x-amz-content-sha256", "")
        if sent.startswith("STREAMING") or "aws-chunked" in self.headers.get(
            "content-encoding", ""
        ):
            room = memoryview(b"".join(_chunks(bytes(room))))
        if self.place.verify:
            self._check(room, sent)
        return room

    def _check(self, body: memoryview, sent: str) -> None:
        if re.fullmatch("[0-9a-f]{64}", sent) and hashlib.sha256(body).hexdigest() != sent:
            raise Refused(400, "XAmzContentSHA256Mismatch")
        for name, digest in _SUMS.items():
            expected = self.headers.get(f"x-amz-checksum-{name}")
            if expected and base64.b64encode(digest(body)).decode() != expected:
                raise Refused(400, "BadDigest")

    def _answer(
        self, status: int, headers: Mapping[str, str], pieces: Sequence[memoryview]
    ) -> None:
        size = sum(piece.nbytes for piece in pieces)
        cut = size
        if self.fault in ("cut", "slow", "flip", "short") and size:
            content = bytearray(b"".join(pieces))
            cut = int(size * self.share)
            if self.fault == "flip":
                content[min(cut, size - 1)] ^= 0x10
                cut = size
            elif self.fault == "short":  # the length agrees with the body, and both are wrong
                content, size = content[:cut], cut
            pieces = [memoryview(content)]
        lines = [
            f"HTTP/1.1 {status} {_REASONS.get(status, 'X')}",
            f"Date: {formatdate(usegmt=True)}",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if status != 204 and "Content-Length" not in headers:
            lines.append(f"Content-Length: {size}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        if self.method == "HEAD":
            self.request.sendall(head)
            return
        if sum(piece.nbytes for piece in pieces) < 65536 and self.fault not in ("cut", "slow"):
            self.request.sendall(b"".join([head, *pieces]))
            return
        self.request.sendall(head)
        if self.fault == "slow" and pieces:
            for start in range(min(pieces[0].nbytes, 5)):
                self.request.sendall(pieces[0][start : start + 1])
                time.sleep(0.001)
            self.request.sendall(pieces[0][5:])
            return
        for piece in pieces:
            self.request.sendall(piece[:cut])
        if self.fault == "cut":
            raise Gone

    # -- requests

    def _carry_out(
        self, bucket: str, key: str, body: memoryview
    ) -> tuple[int, dict[str, str], Sequence[memoryview]]:
        if not key:
            return self._on_bucket(bucket, body)
        place, objects = self.place, self.place.objects(bucket)
        if self.method == "PUT" and "uploadId" in self.query:
            part = Stored([body])
            self._upload()[3][int(self.query["partNumber"])] = part
            return 200, {"ETag": f'"{part.etag}"'}, ()
        if self.method == "PUT":
            kept = {
                n: v for n, v in self.headers.items() if n in _KEPT or n.startswith("x-amz-meta-")
            }
            sums = {n: v for n, v in self.headers.items() if n in ("x-amz-checksum-sha256",)}
            stored = Stored([body], {**kept, **sums})
            place.commit(bucket, key, stored, self.headers)
            return 200, {"ETag": f'"{stored.etag}"'}, ()
        if self.method == "POST" and "uploads" in self.query:
            name = uuid.uuid4().hex
            kept = {
                n: v for n, v in self.headers.items() if n in _KEPT or n.startswith("x-amz-meta-")
            }
            place.uploads[name] = (bucket, key, kept, {})
            inner = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><UploadId>{name}</UploadId>"
            return _xml("InitiateMultipartUploadResult", inner)
        if self.method == "POST":
            return self._complete(bucket, key, body)
        if self.method == "DELETE" and "uploadId" in self.query:
            self._upload()
            del place.uploads[self.query["uploadId"]]
            return 204, {}, ()
        if self.method == "DELETE":
            objects.pop(key, None)
            return 204, {}, ()
        return self._get(objects, key)

    def _get(
        self, objects: Mapping[str, Stored], key: str
    ) -> tuple[int, dict[str, str], Sequence[memoryview]]:
        stored = objects.get(key)
        if stored is None:
            raise Refused(404, "NoSuchKey")
        if self.headers.get("if-match", stored.etag).strip('"') != stored.etag:
            raise Refused(412, "PreconditionFailed")
        headers = {"ETag": f'"{stored.etag}"', "Accept-Ranges": "bytes", **stored.headers}
        headers["Last-Modified"] = formatdate(stored.modified, usegmt=True)
        size = stored.size
        start, end = 0, size
        if asked := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("range", "")):
            if asked[1]:
                start, end = int(asked[1]), min(int(asked[2] or size) + bool(asked[2]), size)
            else:
                start = max(0, size - int(asked[2]))
            if start >= end:
                raise Refused(416, "InvalidRange")
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            headers.pop("x-amz-checksum-sha256", None)
        elif self.headers.get("x-amz-checksum-mode") != "ENABLED":
            headers.pop("x-amz-checksum-sha256", None)
        if self.method == "HEAD":
            return 200, {**headers, "Content-Length": str(end - start)}, ()
        return (206 if asked else 200), headers, list(_slice(stored.pieces, start, end))

    def _upload(self) -> tuple[str, str, dict[str, str], dict[int, Stored]]:
        try:
            return self.place.uploads[self.query["uploadId"]]
        except KeyError:
            raise Refused(404, "NoSuchUpload") from None

    def _complete(
        self, bucket: str, key: str, body: memoryview
    ) -> tuple[int, dict[str, str], Sequence[memoryview]]:
        _, _, headers, sent = self._upload()
        parts = []
        for part in ET.fromstring(bytes(body)):
            told = {child.tag.rpartition("}")[2]: child.text or "" for child in part}
            stored = sent.get(int(told["PartNumber"]))
            if stored is None or stored.etag != told["ETag"].strip('"'):
                raise Refused(400, "InvalidPart")
            parts.append(stored)
        if any(part.size < self.place.smallest_part for part in parts[:-1]):
            raise Refused(400, "EntityTooSmall")
        whole = Stored([piece for part in parts for piece in part.pieces], headers)
        whole.etag += f"-{len(parts)}"
        self.place.commit(bucket, key, whole, self.headers)
        self.place.uploads.pop(self.query["uploadId"], None)
        inner = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><ETag>&quot;{whole.etag}&quot;</ETag>"
        return _xml("CompleteMultipartUploadResult", inner)

    def _on_bucket(
        self, bucket: str, body: memoryview
    ) -> tuple[int, dict[str, str], Sequence[memoryview]]:
        place = self.place
        if self.method == "PUT":
            place.buckets.setdefault(bucket, {})
            return 200, {}, ()
        objects = place.objects(bucket)
        if self.method == "HEAD":
            return 200, {}, ()
        if self.method == "POST":
            for found in ET.fromstring(bytes(body)).iter():
                if found.tag.endswith("Key"):
                    objects.pop(found.text or "", None)
            return _xml("DeleteResult", "")
        if "location" in self.query:
            return _xml("LocationConstraint", "")
        return _listing(bucket, objects, self.query)


def _listing(
    bucket: str, objects: Mapping[str, Stored], query: Mapping[str, str]
) -> tuple[int, dict[str, str], Sequence[memoryview]]:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = unquote(query.get("continuation-token") or query.get("start-after") or "")
    most = min(int(query.get("max-keys", 1000)), 1000)
    named: Callable[[str], str] = quote if query.get("encoding-type") == "url" else escape
    rows: dict[str, str] = {}
    last, more = "", False
    for key in sorted(key for key in list(objects) if key.startswith(prefix)):
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key if cut < 0 else key[: cut + 1]
        if name <= after or name in rows:
            continue
        if len(rows) == most:
            more = True
            break
        last = name
        if cut >= 0:
            rows[name] = f"<CommonPrefixes><Prefix>{named(name)}</Prefix></CommonPrefixes>"
            continue
        stored = objects[key]
        changed = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(stored.modified))
        rows[name] = (
            f"<Contents><Key>{named(key)}</Key><LastModified>{changed}</LastModified>"
            f"<ETag>&quot;{stored.etag}&quot;</ETag><Size>{stored.size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )
    token = f"<NextContinuationToken>{quote(last)}</NextContinuationToken>" if more else ""
    encoding = "<EncodingType>url</EncodingType>" if named is quote else ""
    return _xml(
        "ListBucketResult",
        f"<Name>{bucket}</Name><Prefix>{named(prefix)}</Prefix><KeyCount>{len(rows)}</KeyCount>"
        f"<MaxKeys>{most}</MaxKeys>{encoding}<IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        + "".join(rows.values()),
    )


def _xml(name: str, inner: str) -> tuple[int, dict[str, str], Sequence[memoryview]]:
    text = f"<?xml version='1.0' encoding='UTF-8'?>\n<{name} {NAMESPACE}>{inner}</{name}>"
    return 200, {"Content-Type": "application/xml"}, [memoryview(text.encode())]


def _slice(pieces: Sequence[memoryview], start: int, end: int) -> Iterator[memoryview]:
    base = 0
    for piece in pieces:
        part = piece[max(0, start - base) : max(0, end - base)]
        if part.nbytes:
            yield part
        base += piece.nbytes


def _chunks(body: bytes) -> Iterator[bytes]:
    """The content of an ``aws-chunked`` body."""
    at = 0
    while True:
        line = body.index(b"\r\n", at)
        size = int(body[at:line].partition(b";")[0], 16)
        if not size:
            return
        yield body[line + 2 : line + 2 + size]
        at = line + 4 + size


def main(arguments: Sequence[str] | None = None) -> Any:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="An S3 endpoint in memory.")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--verify", action="store_true", help="verify checksums")
    options = parser.parse_args(arguments)
    with Endpoint(options.port, verify=options.verify) as endpoint:
        print(endpoint.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
