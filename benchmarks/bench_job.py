"""CPU that a job on AWS Batch takes before the user's code begins, and the size of its code package.

The flow, `benchmarks/flows/job.py`, runs with `--with batch` on the embedded AWS, whose jobs are processes:
fetching the spec and the package, unpacking, importing, one task's process. Beside it stands a whole job
written by hand that puts one object with boto3. Both alternate.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import bench_run

sys.path.insert(0, str(bench_run.ROOT))

from airflow_flowprovider.local.server import EmbeddedAws, client_environment

_BY_HAND = "import boto3; boto3.client('s3').put_object(Bucket='flows', Key='by-hand', Body=b'1')"


def flow(*words: str, folder: Path, env: Mapping[str, str]) -> str:
    """What a command of the flow prints."""
    argv = [sys.executable, "job.py", "--datastore-root", "s3://flows/flowsdk", *words]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout + done.stderr


def by_hand(env: Mapping[str, str]) -> float:
    """Seconds of CPU."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", _BY_HAND], env)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit("The job by hand failed.")
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    work = Path(tempfile.mkdtemp(prefix="bench-job-"))
    taken: dict[str, list[float]] = {"ours": [], "by hand": []}
    try:
        bench_run.prepare(work / "flow", "flowsdk", ["job.py"])
        with EmbeddedAws() as aws:
            env = {**bench_run.environment(work / "flow"), **client_environment(aws.endpoint_url)}
            env |= {"FLOWSDK_BATCH_QUEUE": aws.job_queue, "FLOWSDK_BATCH_IMAGE": "python:3"}
            for _ in range(rounds):
                told = flow("run", "--with", "batch", folder=work / "flow", env=env)
                found = re.search(r" cpu ([0-9.]+)$", told, re.MULTILINE)
                assert found, told
                taken["ours"].append(float(found[1]))
                taken["by hand"].append(by_hand(env))
            package = flow("package", "info", folder=work / "flow", env=env)
    finally:
        shutil.rmtree(work, ignore_errors=True)

    print(f"{'':8} {'CPU':>8} {'range':>15}")
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        spread = f"{min(seconds):.2f} – {max(seconds):.2f} s"
        print(f"{name:8} {median:6.2f} s {spread:>15}")
    print(f"ours until the user's code, by hand all; {rounds} rounds, median. The code package:")
    print(package.strip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
