from __future__ import annotations

import pytest

from airflow_flowprovider.local.requests import operation


def _authorization(service: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/{service}/aws4_request, Sig=0"


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /bucket/key", "s3:GetObject"),
        ("PUT /bucket/a/b", "s3:PutObject"),
        ("PUT /bucket/key?partNumber=1&uploadId=2", "s3:UploadPart"),
        ("POST /bucket/key?uploads", "s3:CreateMultipartUpload"),
        ("POST /bucket/key?uploadId=2", "s3:CompleteMultipartUpload"),
        ("GET /bucket?list-type=2&prefix=a", "s3:ListObjectsV2"),
        ("POST /bucket?delete", "s3:DeleteObjects"),
        ("HEAD /bucket", "s3:HeadBucket"),
        ("GET /", "s3:ListBuckets"),
        ("OPTIONS /bucket/key", "s3:OPTIONS"),
    ],
)
def test_s3_requests_are_named_after_method_path_and_query(
    request_line: str, expected: str
) -> None:
    method, _, target = request_line.partition(" ")
    path, _, query = target.partition("?")
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
    assert operation({**environ, "HTTP_AUTHORIZATION": _authorization("s3")}) == expected
    assert operation(environ) == expected  # unsigned


def test_a_copy_is_not_an_upload() -> None:
    environ = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/b/k", "HTTP_X_AMZ_COPY_SOURCE": "/b/o"}
    assert operation(environ) == "s3:CopyObject"


def test_batch_and_json_protocols() -> None:
    batch = {"HTTP_AUTHORIZATION": _authorization("batch"), "PATH_INFO": "/v1/submitjob"}
    assert operation(batch) == "batch:SubmitJob"
    tags = {**batch, "PATH_INFO": "/v1/tags/arn%3Aaws"}
    assert operation(tags) == "batch:Tags"
    logs = {
        "HTTP_AUTHORIZATION": _authorization("logs"),
        "HTTP_X_AMZ_TARGET": "Logs_20140328.GetLogEvents",
        "PATH_INFO": "/",
    }
    assert operation(logs) == "logs:GetLogEvents"
