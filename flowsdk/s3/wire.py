"""One request to S3 and its answer, from and into the caller's own buffers.

botocore copies what it reads several times and spends a millisecond of CPU on each request. This sends
the four requests that move objects itself: signed by botocore, over connections that are kept, bytes
going straight between the socket and the caller's buffer. Whatever is out of the ordinary – a proxy,
a bucket that is an ARN, a redirection to another region, an expired token – goes to the client, which
knows all of it. Handlers of botocore's ``before-send`` are heard as botocore hears them, so what
traces requests or answers them in tests sees these too.
"""

from __future__ import annotations

import base64
import http.client
import os
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, Any, NamedTuple, cast
from urllib.parse import quote, urlencode, urlsplit

from flowsdk.datastore.hashing import piece_digest
from flowsdk.s3.parts import PartsReader
from flowsdk.version import VERSION

#: Seconds that a connection may take to be made, or to be silent.
_SILENT_SECONDS = 20.0
#: A connection slower than this over such a time is given up for another: S3 advises to try again.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
_SLOW_SECONDS, _SLOWEST = 10.0, 16 * 1024
#: S3 closes idle connections itself; more than this are not worth keeping.
_KEPT = 64
#: How much is given to the socket at once: its timeout counts for the whole of it.
_SENT_AT_ONCE = 1024 * 1024
#: Bodies up to this are sent in one piece with the head.
_SMALL = 64 * 1024

_METHODS = {"GetObject": "GET", "HeadObject": "HEAD", "PutObject": "PUT", "UploadPart": "PUT"}
_BOTO3 = {
    "GetObject": "get_object",
    "HeadObject": "head_object",
    "PutObject": "put_object",
    "UploadPart": "upload_part",
}
_QUERY = {"PartNumber": "partNumber", "UploadId": "uploadId", "VersionId": "versionId"}
_HEADERS = {
    "ChecksumMode": "x-amz-checksum-mode",
    "ChecksumSHA256": "x-amz-checksum-sha256",
    "ContentType": "content-type",
    "IfMatch": "if-match",
    "IfNoneMatch": "if-none-match",
    "Range": "range",
    "ServerSideEncryption": "x-amz-server-side-encryption",
}
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_MISSING = {"NoSuchKey", "404", ""}
#: Where a body of an answer goes: called with its headers, it gives a buffer for as much as is wanted.
Sink = Callable[[Mapping[str, str]], memoryview]


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        operation: As botocore calls it, one of ``_METHODS``.
        params: As boto3 takes them, without the body.
        body: To be concatenated.
        sha256: Of the body, in hex: S3 refuses another one.
    """

    operation: str
    params: Mapping[str, Any]
    body: Sequence[memoryview] = field(default=(), repr=False)
    sha256: str = _EMPTY_SHA256

    @classmethod
    def carrying(
        cls,
        operation: str,
        params: Mapping[str, Any],
        body: Sequence[memoryview],
        digest: bytes | None = None,
    ) -> Call:
        """A request with a body and its SHA-256, which S3 checks and keeps with the object.

        Args:
            operation: As botocore calls it.
            params: As boto3 takes them, without the body.
            body: To be concatenated.
            digest: Its SHA-256, if the caller has it already.
        """
        digest = digest or piece_digest(body)
        checksum = base64.b64encode(digest).decode()
        return cls(operation, {**params, "ChecksumSHA256": checksum}, body, digest.hex())


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: Of HTTP.
        headers: By names in small letters.
        code: S3's name of the error, if it is one.
    """

    status: int
    headers: Mapping[str, str]
    code: str = ""

    @property
    def ok(self) -> bool:
        """Whether the request was carried out."""
        return self.status < 300

    @property
    def busy(self) -> bool:
        """Whether the same request may do better a little later."""
        return self.status >= 500 or self.status == 429 or self.code == "RequestTimeout"

    @property
    def told(self) -> str:
        """In words."""
        return f"HTTP status {self.status} {self.code}".rstrip()


class Broken(Exception):
    """A connection broke, fell silent or became too slow.

    Args:
        why: In words.
        received: Bytes of the answer's body that are in the buffer and good.
    """

    def __init__(self, why: str, received: int = 0) -> None:
        super().__init__(why, received)
        self.why = why
        self.received = received


class Wire:
    """Connections to S3.

    Args:
        client: The S3 client whose endpoint, region and credentials count.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._endpoints: dict[str, _Endpoint | None] = {}
        self._idle: dict[tuple[str, str], list[socket.socket]] = {}
        self._pid = os.getpid()
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._idle)

    def send(self, call: Call, sink: Sink | None = None) -> Answer:
        """Send a request and read the answer.

        Args:
            call: The request.
            sink: Takes the body of a good answer. What does not fit into its buffer is not read.

        Raises:
            Broken: Send it again, or the rest of it.
            botocore.exceptions.ClientError: S3 refused for good.
        """
        bucket = call.params["Bucket"]
        if bucket not in self._endpoints:
            self._endpoints[bucket] = _endpoint(self.client, bucket)
        endpoint = self._endpoints[bucket]
        if endpoint is not None:
            answer = self._send_directly(endpoint, call, sink)
            if answer is not None and (answer.ok or answer.busy or _is_ordinary(call, answer)):
                return answer
        return self._send_through_client(call, sink)

    def _send_directly(self, endpoint: _Endpoint, call: Call, sink: Sink | None) -> Answer | None:
        from botocore.awsrequest import AWSPreparedRequest

        signed = endpoint.sign(call)
        body = cast("IO[bytes]", PartsReader(call.body))
        handed = AWSPreparedRequest(signed.method, signed.url, signed.headers, body, True)
        event = f"before-send.s3.{call.operation}"
        _, given = self.client.meta.events.emit_until_response(event, request=handed)
        if given is not None:
            headers = {name.lower(): str(value) for name, value in given.headers.items()}
            content = given.content
            if given.status_code < 300 and sink is not None:
                headers.setdefault("content-length", str(len(content)))
                view = sink(headers)
                view[:] = content[: view.nbytes]
            return Answer(given.status_code, headers, _error_code(content))
        try:
            return self._exchange(endpoint, call, signed, sink)
        except (OSError, http.client.HTTPException) as error:
            if _is_certificate(error):
                # A certificate of another authority may be known to the client, by its configuration.
                self._endpoints[call.params["Bucket"]] = None
                return None
            raise Broken(f"{type(error).__name__}: {error}") from error

    def _exchange(
        self, endpoint: _Endpoint, call: Call, signed: Any, sink: Sink | None
    ) -> Answer | None:
        connection = self._take(endpoint)
        whole = False
        try:
            _write(connection, _head(endpoint, signed, call), call.body)
            response = http.client.HTTPResponse(connection, method=signed.method)
            with response:
                response.begin()
                headers = {name.lower(): value for name, value in response.getheaders()}
                if sink is None or response.status >= 300:
                    code = _error_code(response.read())
                    whole = not response.will_close
                    return Answer(response.status, headers, code)
                length = response.length
                if length is None or response.chunked:
                    return None
                view = sink(headers)
                wanted = min(length, view.nbytes)
                _read(response.fp, view[:wanted])
                whole = wanted == length and not response.will_close
            return Answer(response.status, headers)
        finally:
            if whole:
                self._keep(endpoint, connection)
            else:
                connection.close()

    def _take(self, endpoint: _Endpoint) -> socket.socket:
        with self._lock:
            if self._pid != os.getpid():  # the parent's connections must not be spoken on
                _close_all(self._idle)
                self._pid = os.getpid()
            idle = self._idle.get(endpoint.server, [])
            while idle:
                connection = idle.pop()
                if not _is_readable(connection):
                    return connection
                connection.close()
        return endpoint.connect()

    def _keep(self, endpoint: _Endpoint, connection: socket.socket) -> None:
        with self._lock:
            idle = self._idle.setdefault(endpoint.server, [])
            if len(idle) < _KEPT and self._pid == os.getpid():
                idle.append(connection)
                return
        connection.close()

    def _send_through_client(self, call: Call, sink: Sink | None) -> Answer:
        from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

        params = dict(call.params)
        if _METHODS[call.operation] == "PUT":
            params["Body"] = PartsReader(call.body)
        received = 0
        try:
            answer = getattr(self.client, _BOTO3[call.operation])(**params)
            about = answer["ResponseMetadata"]
            headers = about.get("HTTPHeaders", {})
            if sink is not None:
                view = sink(headers)
                with closing(answer["Body"]) as body:
                    while received < view.nbytes:
                        data = body.read(min(_SENT_AT_ONCE, view.nbytes - received))
                        if not data:
                            raise Broken("the answer ended early", received)
                        view[received : received + len(data)] = data
                        received += len(data)
            return Answer(about.get("HTTPStatusCode", 200), headers)
        except ClientError as error:
            about = error.response.get("ResponseMetadata", {})
            refused = Answer(
                about.get("HTTPStatusCode", 400),
                about.get("HTTPHeaders", {}),
                error.response.get("Error", {}).get("Code", ""),
            )
            if _is_ordinary(call, refused):
                return refused
            raise
        except (HTTPClientError, IncompleteReadError) as error:
            raise Broken(f"{type(error).__name__}: {error}", received) from error


class _Endpoint:
    """Where a bucket is reached, and as whom."""

    def __init__(self, client: Any, base: str) -> None:
        self._client = client
        self._base = base
        parts = urlsplit(base)
        self.server = (parts.scheme, parts.netloc)
        self.host = parts.netloc
        self._name = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)

    def sign(self, call: Call) -> Any:
        """The request as botocore's AWSRequest, with its signature among the headers."""
        from botocore.awsrequest import AWSRequest

        params = call.params
        headers = {_HEADERS[name]: str(params[name]) for name in params if name in _HEADERS}
        headers |= {
            f"x-amz-meta-{name}": value for name, value in params.get("Metadata", {}).items()
        }
        query = {_QUERY[name]: str(params[name]) for name in params if name in _QUERY}
        for name, value in headers.items():
            if "\r" in value or "\n" in value:
                raise ValueError(f"Header {name}: found {value!r}, expected a single line.")
        url = (
            self._base + quote(params["Key"], safe="/~") + (f"?{urlencode(query)}" if query else "")
        )
        request = AWSRequest(_METHODS[call.operation], url, headers=headers)
        request.context["sha256"] = call.sha256
        credentials = self._client._get_credentials().get_frozen_credentials()
        _signer()(credentials, "s3", self._client.meta.region_name).add_auth(request)
        return request

    def connect(self) -> socket.socket:
        """A new connection."""
        plain = socket.create_connection((self._name, self._port), timeout=_SILENT_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _tls().wrap_socket(plain, server_hostname=self._name) if self._secure else plain


def _endpoint(client: Any, bucket: str) -> _Endpoint | None:
    """Where a bucket is; None if only the client can reach it."""
    from botocore.utils import get_environ_proxies

    settings = client.meta.config
    if settings.signature_version not in ("s3v4", "v4") or client._get_credentials() is None:
        return None
    if bucket.startswith("arn:") or bucket.endswith("--x-s3"):  # signed in other ways
        return None
    # botocore knows all of the rules for this, and a presigned URL is how it tells.
    url = urlsplit(
        client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    )
    base = f"{url.scheme}://{url.netloc}{url.path[:-1]}"
    if settings.proxies or settings.client_cert or get_environ_proxies(base):
        return None
    return _Endpoint(client, base)


@lru_cache(maxsize=1)
def _signer() -> Any:
    from botocore.auth import S3SigV4Auth

    class Signer(S3SigV4Auth):
        """Signs a digest that is known already."""

        def payload(self, request: Any) -> Any:
            return request.context["sha256"]

    return Signer


@lru_cache(maxsize=1)
def _tls() -> Any:
    from botocore.httpsession import create_urllib3_context, get_cert_path

    context = create_urllib3_context()
    context.load_verify_locations(cafile=os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True))
    context.check_hostname = True
    return context


def _is_certificate(error: Exception) -> bool:
    import ssl

    return isinstance(error, ssl.SSLCertVerificationError)


def _is_ordinary(call: Call, answer: Answer) -> bool:
    """Whether a refusal is one that the caller asked for, or means that there is no such object."""
    if answer.status == 404:
        return call.operation in ("GetObject", "HeadObject") and answer.code in _MISSING
    return answer.status in (304, 412, 416) or answer.code == "ConditionalRequestConflict"


def _close_all(idle: dict[tuple[str, str], list[socket.socket]]) -> None:
    for connection in (one for some in idle.values() for one in some):
        connection.close()
    idle.clear()


def _is_readable(connection: socket.socket) -> bool:
    """Of an idle connection it means that the other side has closed it."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _head(endpoint: _Endpoint, signed: Any, call: Call) -> bytes:
    url = urlsplit(signed.url)
    target = f"{url.path}?{url.query}" if url.query else url.path
    lines = [f"{signed.method} {target} HTTP/1.1", f"Host: {endpoint.host}"]
    lines += [f"User-Agent: flowsdk/{VERSION}", "Accept-Encoding: identity"]
    if signed.method == "PUT":
        lines.append(f"Content-Length: {sum(part.nbytes for part in call.body)}")
    lines += [f"{name}: {value}" for name, value in signed.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _write(connection: socket.socket, head: bytes, body: Sequence[memoryview]) -> None:
    if sum(part.nbytes for part in body) <= _SMALL:
        connection.sendall(b"".join([head, *body]))
        return
    connection.sendall(head)
    for part in body:
        for start in range(0, part.nbytes, _SENT_AT_ONCE):
            connection.sendall(part[start : start + _SENT_AT_ONCE])


def _read(file: Any, view: memoryview) -> None:
    """Fill ``view``; raises Broken with what it has if the connection ends, stalls or crawls."""
    got, mark, since = 0, 0, time.monotonic()
    while got < view.nbytes:
        try:
            count = file.readinto1(view[got:])
        except OSError as error:
            raise Broken(f"{type(error).__name__}: {error}", got) from error
        if not count:
            raise Broken(f"found {got} bytes, expected {view.nbytes}", got)
        got += count
        elapsed = time.monotonic() - since
        if elapsed > _SLOW_SECONDS:
            if (got - mark) / elapsed < _SLOWEST:
                raise Broken(f"{got - mark} bytes in {elapsed:.0f} s", got)
            mark, since = got, time.monotonic()


def _error_code(body: bytes) -> str:
    """What stands in ``<Code>``; S3's errors are small documents of a few elements."""
    _, found, rest = body[:4096].partition(b"<Code>")
    return rest.partition(b"</Code>")[0].decode("utf-8", "replace") if found else ""
