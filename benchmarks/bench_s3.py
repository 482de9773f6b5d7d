"""What moving data to and from S3 takes beside the tools made for it, against a fast endpoint.

`large` is an artifact of 500 MB through the datastore, digests and all, beside raw bytes by boto3 (tuned),
obstore and s5cmd; `small` and `medium` are a thousand objects of 1 KiB and a hundred of 16 MiB with
put_many and get_many of `S3`, beside Metaflow's client and s5cmd. Rounds are interleaved. All talk to
tests/s3_endpoint.py over loopback, which takes cores, too: ratios count, and only on the same machine. It
does not verify what it is sent. Memory is touched before each, see `bench_run.py`.
s5cmd is a program and reads and writes files, here in memory; its time is that of its process. The others
are timed from the call to its end, clients made and warm. Seconds of CPU are of the client and its children.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bench_run

ROOT = Path(__file__).parents[1]
RIVALS = ROOT / ".bench-venv" / "bin"
MIB = 1024 * 1024
CASES = {"large": (1, 500_000_000), "small": (1000, 1024), "medium": (100, 16 * MIB)}
SUBJECTS = {
    "large": ("ours", "boto3", "obstore", "s5cmd"),
    "small": ("ours", "metaflow", "s5cmd"),
    "medium": ("ours", "metaflow", "s5cmd"),
}
BUCKET = "bench"
MEMORY = Path("/dev/shm")
#: Bytes: what the server and its client take.
_TOUCHED = 4 * 1024**3


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--act", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.act:
        subject, case = options.act
        for action, (wall, cpu) in act(subject, case).items():
            print(action, wall, cpu)
        return 0
    for case in options.cases or CASES:
        measure(case, options.rounds)
    return 0


def measure(case: str, rounds: int) -> None:
    """Print one table."""
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    subjects = [name for name in SUBJECTS[case] if name == "ours" or _is_installed(name)]
    for _ in range(rounds):
        for subject in subjects:  # each with an endpoint of its own, so that memory is free again
            for action, figures in _one(subject, case).items():
                taken.setdefault((action, subject), []).append(figures)
    count, size = CASES[case]
    print(f"{case}: {count} × {size} bytes; {rounds} interleaved rounds, medians")
    print(f"{'':4} {'':10} {'wall':>9} {'range':>16} {'CPU':>8} {'ours / this':>12}")
    for action in ("put", "get"):
        own = statistics.median(wall for wall, _ in taken[action, "ours"])
        for subject in subjects:
            walls = [wall for wall, _ in taken[action, subject]]
            median = statistics.median(walls)
            cpu = statistics.median(cpu for _, cpu in taken[action, subject])
            spread = f"{min(walls):.2f} – {max(walls):.2f} s"
            ratio = "" if subject == "ours" else f"{own / median:.2f}"
            print(f"{action:4} {subject:10} {median:7.2f} s {spread:>16} {cpu:6.2f} s {ratio:>12}")


def _one(subject: str, case: str) -> dict[str, tuple[float, float]]:
    bench_run.touch_memory(_TOUCHED)
    with endpoint() as url:
        python = sys.executable if subject in ("ours", "boto3") else str(RIVALS / "python")
        done = subprocess.run(
            [python, __file__, "--act", subject, case],
            env={**os.environ, **environment(url)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{subject}, {case}:\n{done.stderr}")
    rows = (line.split() for line in done.stdout.splitlines())
    return {row[0]: (float(row[1]), float(row[2])) for row in rows if row[0] in ("put", "get")}


@contextmanager
def endpoint() -> Iterator[str]:
    """The URL of a new, empty S3, for a while."""
    script = [str(ROOT / "tests" / "s3_endpoint.py"), "--port", "0"]
    with subprocess.Popen([sys.executable, *script], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def environment(url: str) -> dict[str, str]:
    """In which every client finds that S3."""
    return {
        "AWS_ENDPOINT_URL": url,
        "METAFLOW_S3_ENDPOINT_URL": url,
        "S3_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "METAFLOW_USER": "bench",
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }


def _is_installed(subject: str) -> bool:
    if subject == "boto3":
        return True
    return (
        bool(list(RIVALS.parent.glob(f"lib/*/site-packages/{subject}")))
        or (RIVALS / subject).exists()
    )


def make_bucket(url: str) -> None:
    """Make the bucket that all use."""
    import boto3

    names = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench"}
    os.environ["NO_PROXY"] = "127.0.0.1"
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **names)
    client.create_bucket(Bucket=BUCKET)


def act(subject: str, case: str) -> dict[str, tuple[float, float]]:
    """Put and get; wall and CPU seconds of each."""
    make_bucket(os.environ["AWS_ENDPOINT_URL"])
    count, size = CASES[case]
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    try:
        contents = [os.urandom(min(size, 64 * MIB)) for _ in range(min(count, 4))]
        if case == "large":
            contents = [(contents[0] * (size // len(contents[0]) + 1))[:size]]
        items = [(f"o/{number:04}", contents[number % len(contents)]) for number in range(count)]
        prepare = _ours_large if (subject, case) == ("ours", "large") else globals()[f"_{subject}"]
        put, get = prepare(items, folder)
        return {"put": _timed(put), "get": _timed(get)}
    finally:
        shutil.rmtree(folder)


def _timed(action: Callable[[], Any]) -> tuple[float, float]:
    def cpu() -> float:
        used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(one.ru_utime + one.ru_stime for one in used)

    began, used = time.perf_counter(), cpu()
    action()
    return time.perf_counter() - began, cpu() - used


Pair = tuple[Callable[[], Any], Callable[[], Any]]


def _ours_large(items: list[tuple[str, bytes]], _: Path) -> Pair:
    from flowsdk.datastore import open_storage
    from flowsdk.datastore.blobs import BlobStore

    blobs = BlobStore(open_storage(f"s3://{BUCKET}/ours"), "F")
    digests = [blobs.put([b"warm"])]
    return lambda: digests.append(blobs.put([items[0][1]])), lambda: blobs.get(digests[-1])


def _ours(items: list[tuple[str, bytes]], folder: Path) -> Pair:
    from flowsdk import S3

    s3 = S3(s3root=f"s3://{BUCKET}/ours", tmproot=str(folder))
    s3.put("warm", "")
    return lambda: s3.put_many(items), lambda: _read(s3.get_many(key for key, _ in items))


def _metaflow(items: list[tuple[str, bytes]], folder: Path) -> Pair:
    from metaflow import S3

    s3 = S3(s3root=f"s3://{BUCKET}/metaflow", tmproot=str(folder))
    s3.put("warm", "")
    return lambda: s3.put_many(items), lambda: _read(s3.get_many([key for key, _ in items]))


def _read(found: list[Any]) -> None:
    """All is there. What is in files stays there, with either client."""
    assert all(one.size and Path(one.path).exists() for one in found[:3])
    assert all(one.downloaded for one in found)


def _boto3(items: list[tuple[str, bytes]], _: Path) -> Pair:
    import boto3
    from boto3.s3.transfer import TransferConfig

    client = boto3.client("s3")
    tuned = TransferConfig(multipart_chunksize=16 * MIB, max_concurrency=8)

    def get() -> None:
        client.download_fileobj(BUCKET, "boto3", io.BytesIO(), Config=tuned)

    return lambda: client.upload_fileobj(
        io.BytesIO(items[0][1]), BUCKET, "boto3", Config=tuned
    ), get


def _obstore(items: list[tuple[str, bytes]], _: Path) -> Pair:
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        BUCKET,
        endpoint=os.environ["AWS_ENDPOINT_URL"],
        client_options={"allow_http": True, "timeout": "300s"},
        virtual_hosted_style_request=False,
    )

    def put() -> None:
        obstore.put(store, "obstore", items[0][1], chunk_size=16 * MIB, max_concurrency=8)

    def get() -> None:
        # In ranges, as its documentation advises for large objects.
        size = len(items[0][1])
        starts = list(range(0, size, 16 * MIB))
        ends = [min(start + 16 * MIB, size) for start in starts]
        assert len(obstore.get_ranges(store, "obstore", starts=starts, ends=ends)) == len(starts)

    return put, get


def _s5cmd(items: list[tuple[str, bytes]], folder: Path) -> Pair:
    source, target = folder / "source", folder / "target"
    for path in (source, target):
        path.mkdir()
    for key, content in items:
        (source / Path(key).name).write_bytes(content)

    def run(*words: str) -> None:
        subprocess.run([str(RIVALS / "s5cmd"), "--log", "error", *words], check=True)

    def put() -> None:
        run("cp", "--concurrency", "8", f"{source}/", f"s3://{BUCKET}/s5cmd/")

    def get() -> None:
        run("cp", "--concurrency", "8", f"s3://{BUCKET}/s5cmd/*", f"{target}/")
        assert len(list(target.iterdir())) == len(items)

    return put, get


if __name__ == "__main__":
    sys.exit(main())
