from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.s3_endpoint import Endpoint

PIECE = 4096


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A server with a bucket, ``flows``."""
    pytest.importorskip("boto3")
    with Endpoint(smallest_part=1) as server:
        server.buckets["flows"] = {}
        yield server


@pytest.fixture
def client(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A boto3 client of the server that tries again at once, and many times."""
    import boto3
    from botocore.config import Config

    monkeypatch.setattr("botocore.retryhandler.delay_exponential", lambda *_, **__: 0)
    retries = {"mode": "legacy", "max_attempts": 8}
    return boto3.client("s3", endpoint_url=endpoint.url, config=Config(retries=retries))


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects of a few kilobytes are large."""
    monkeypatch.setattr("flowsdk.datastore.hashing.PIECE", PIECE)
    monkeypatch.setattr("flowsdk.s3.transfers.MULTIPART_FROM", 2 * PIECE)
    monkeypatch.setattr("flowsdk.s3.transfers._PAUSES", (0.0,) * 8)
