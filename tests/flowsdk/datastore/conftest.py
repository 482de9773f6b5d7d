from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsdk.datastore import Storage, open_storage


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """Both kinds of storage; S3 is moto's, in this process."""
    if request.param == "folder":
        yield open_storage(str(tmp_path / "root"))
        return
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto")
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="flows")
        yield open_storage("s3://flows/pre/fix")
