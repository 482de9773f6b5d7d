"""What a container runs first: fetch the spec and the code, then hand over.

The source of this module is the container's ``python3 -c`` argument, so it must stay small and may
import nothing but the standard library and botocore: flowsdk itself arrives with the code. Not boto3,
which adds to botocore what a job has no use for, and takes 50 ms of CPU to import.
"""

import hashlib
import io
import os
import struct
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def fetch_and_run(spec_uri: str) -> int:
    """Run the task whose TaskSpec lies at ``spec_uri`` (``s3://…``); returns the exit code."""
    import json

    from botocore.config import Config
    from botocore.session import get_session

    # Handed on: a session parses what it knows of AWS only once, and asks once for credentials.
    session: Any = get_session()
    retries: Any = {"mode": "adaptive", "total_max_attempts": 8}
    s3 = session.create_client("s3", config=Config(retries=retries))

    def get(uri: str, **part: str) -> bytes:
        bucket, _, key = uri[len("s3://") :].partition("/")
        data: bytes = s3.get_object(Bucket=bucket, Key=key, **part)["Body"].read()
        return data

    spec_json = read_spec(spec_uri, get)
    spec = json.loads(spec_json)
    package = get(spec["root"] + "/" + spec["code"])
    digest = hashlib.sha256(package).hexdigest()
    if not spec["code"].endswith("/" + digest):
        sys.exit(f"Code package {spec['code']} is corrupt: its SHA-256 is {digest}.")
    folder = tempfile.mkdtemp(prefix="flow-code-")
    unpack(package, folder)
    sys.path.insert(0, folder)
    # For processes that the step starts.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        p for p in (folder, os.environ.get("PYTHONPATH")) if p
    )
    from flowsdk.runtime.bootstrap import main

    return main(spec_json, folder, spec_uri.rpartition("#")[2].isdecimal(), session)


def unpack(package: bytes, folder: str) -> None:
    """Write the files of a code package, of which the digest has been checked.

    Args:
        package: A gzipped tar archive of nothing but files.
        folder: Where to.
    """
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        # Not extractall: it sets owner, mode and times of each file, and resolves its path, which
        # takes longer than all the rest.
        for entry in archive:
            path = Path(folder, entry.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.extractfile(entry).read())  # type: ignore[union-attr]


def read_spec(spec_uri: str, get: Callable[..., bytes]) -> bytes:
    """The TaskSpec at a URI; of ``…#<first>``, one of the many in an object (``flowsdk.taskset``).

    It is number ``<first>`` there; of an array or a multi-node job, as many further as the index of
    this job or node says.

    Args:
        spec_uri: Of the spec.
        get: Reads an object, or the ``Range`` of it.
    """
    uri, _, first = spec_uri.rpartition("#")
    if not first.isdecimal():
        return get(spec_uri)
    names = ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_NODE_INDEX")
    at = 8 + 8 * (int(first) + sum(int(os.environ.get(name, "0")) for name in names))
    start, end = struct.unpack("<QQ", get(uri, Range=f"bytes={at}-{at + 15}"))
    return get(uri, Range=f"bytes={start}-{end - 1}")


def source() -> str:
    """The program for ``python3 -c``; its one argument is the URI of a TaskSpec."""
    return Path(__file__).read_text("utf-8")


if __name__ == "__main__":
    sys.exit(fetch_and_run(sys.argv[1]))
