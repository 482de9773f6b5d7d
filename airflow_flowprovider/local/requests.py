"""Names and counts the requests that reach the embedded AWS."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from urllib.parse import parse_qs

REQUESTS_PATH = "/_flowprovider/requests"
"""GET answers ``{"s3:PutObject": 3, ...}``; DELETE answers the same and starts again at zero."""
HEALTH_PATH = "/_flowprovider/health"
# No bucket can have such a name, so neither path hides one.

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_S3_OBJECT = {
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
}
_S3_BUCKET = {
    "GET": "ListObjects",
    "HEAD": "HeadBucket",
    "PUT": "CreateBucket",
    "DELETE": "DeleteBucket",
}
_S3_SUBRESOURCES = {  # (method, parameter of the query)
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "partNumber"): "UploadPart",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "uploadId"): "ListParts",
    ("GET", "uploads"): "ListMultipartUploads",
    ("POST", "delete"): "DeleteObjects",
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "versions"): "ListObjectVersions",
    ("GET", "location"): "GetBucketLocation",
}


class RequestCounter:
    """WSGI middleware: counts the requests of each operation, and answers the paths above."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def reset(self) -> dict[str, int]:
        """Start again at zero; returns the counts so far."""
        with self._lock:
            counts = dict(sorted(self._counts.items()))
            self._counts.clear()
        return counts

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one of the paths above, or count the request and pass it on."""
        path = environ["PATH_INFO"]
        if path == HEALTH_PATH:
            return _answer({"status": "ok"}, start_response)
        if path == REQUESTS_PATH:
            if environ["REQUEST_METHOD"] == "DELETE":
                return _answer(self.reset(), start_response)
            with self._lock:
                counts = dict(sorted(self._counts.items()))
            return _answer(counts, start_response)
        with self._lock:
            self._counts[operation(environ)] += 1
        return self._application(environ, start_response)


def operation(environ: Environ) -> str:
    """The request as ``service:Operation``, such as ``batch:SubmitJob``.

    An S3 request that is none of the common ones is named by its method, and a request of a
    protocol that carries its operation in the body is named by its service alone.
    """
    service = _service(environ.get("HTTP_AUTHORIZATION", ""))
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return f"{service}:{target.rpartition('.')[2]}"
    if service == "s3":
        return f"s3:{_s3_operation(environ)}"
    path = environ["PATH_INFO"]
    if service == "batch":
        verb = path.split("/")[2] if path.count("/") > 1 else path
        return f"batch:{_batch_operations().get(verb, verb)}"
    return service


def _service(authorization: str) -> str:
    """From ``AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, …``."""
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    return scope[-2] if len(scope) > 1 else "s3"  # unsigned: a presigned or public object


def _s3_operation(environ: Environ) -> str:
    method: str = environ["REQUEST_METHOD"]
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    for (verb, parameter), name in _S3_SUBRESOURCES.items():
        if verb == method and parameter in query:
            return name
    if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return "CopyObject"
    bucket, _, key = environ["PATH_INFO"].strip("/").partition("/")
    if not bucket:
        return "ListBuckets"
    names = _S3_OBJECT if key else _S3_BUCKET
    return names.get(method, method)


@cache
def _batch_operations() -> dict[str, str]:
    """Last part of the path, in lower case → operation."""
    from botocore.session import Session

    model = Session().get_service_model("batch")
    names = {name.lower(): name for name in model.operation_names}
    return {**names, "tags": "Tags"}


def _answer(body: Any, start_response: StartResponse) -> Iterable[bytes]:
    payload = json.dumps(body).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(payload)))]
    start_response("200 OK", headers)
    return [payload]
