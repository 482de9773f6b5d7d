"""A join that reads one small artifact of each of its inputs from S3, beside Metaflow.

The flow is `benchmarks/flows/join.py`. Ours is run each time, and what its join takes is read from its log.
Of Metaflow's the join alone is run again, with the command that its own scheduler gives, which takes as long
as the log of its run says. Both read from S3 and store their result there. All talk to
tests/s3_endpoint.py over loopback. Metaflow reads the inputs one after the other, with a process for
each, so it gets fewer of them by default.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import bench_run
import bench_s3

FLOW = "join.py"
_WHEN = r"^([0-9-]+ [0-9:.]+) \[.*/join/.*\] "


def ours(python: Path, inputs: int, folder: Path, env: Mapping[str, str]) -> Callable[[], float]:
    """Runs the flow; seconds that its join took."""
    root = f"s3://{bench_s3.BUCKET}/flowsdk"
    command = [str(python), FLOW, "--datastore-root", root, "run", *_options(inputs)]

    def measure() -> float:
        told = _run(command, folder, env)
        begun = re.search(_WHEN + "Task is starting", told, re.MULTILINE)
        ended = re.search(_WHEN + "Task finished", told, re.MULTILINE)
        assert begun, told
        assert ended, told
        between = datetime.fromisoformat(ended[1]) - datetime.fromisoformat(begun[1])
        return between.total_seconds()

    return measure


def metaflow(
    python: Path, inputs: int, folder: Path, env: Mapping[str, str]
) -> Callable[[], float]:
    """Has run the flow; seconds that its join takes, run as another task."""
    told = _run(
        [str(python), FLOW, "--datastore", "s3", "run", *_options(inputs)],
        folder,
        {**env, "METAFLOW_DEBUG_SUBCOMMAND": "1"},
    )
    found = re.search(r"^debug\[subcommand [^]]*]: (.* step join .*)$", told, re.MULTILINE)
    assert found, told
    command = shlex.split(found[1])
    task = command.index("--task-id") + 1

    def measure() -> float:
        command[task] = str(time.time_ns())
        started = time.perf_counter()
        _run(command, folder, env)
        return time.perf_counter() - started

    return measure


def _options(inputs: int) -> list[str]:
    return ["--max-workers", "2", "--max-num-splits", str(inputs)]


def _run(command: list[str], folder: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1000, help="of ours")
    parser.add_argument("--rival-inputs", type=int, default=100, help="of Metaflow's")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    inputs = {"flowsdk": options.inputs, "metaflow": options.rival_inputs}
    work = Path(tempfile.mkdtemp(prefix="bench-join-"))
    measures: dict[str, Callable[[], float]] = {}
    try:
        with bench_s3.endpoint() as url:
            bench_s3.make_bucket(url)
            for sdk, python in bench_run.subjects().items():
                bench_run.prepare(work / sdk, sdk, [FLOW])
                env = {
                    **bench_run.environment(work / sdk),
                    **bench_s3.environment(url),
                    "INPUTS": str(inputs[sdk]),
                    "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{bench_s3.BUCKET}/metaflow",
                }
                prepare = {"flowsdk": ours, "metaflow": metaflow}[sdk]
                measures[sdk] = prepare(python, inputs[sdk], work / sdk, env)
            rounds = [
                {sdk: measure() for sdk, measure in measures.items()} for _ in range(options.rounds)
            ]
    finally:
        shutil.rmtree(work, ignore_errors=True)

    print(
        f"{'library':10} {'inputs':>7} {'median':>9} {'range':>19} {'an input':>10} "
        f"{'ratio':>8} {'an input':>9}"
    )
    own = statistics.median(taken["flowsdk"] for taken in rounds)
    for sdk in measures:
        walls = [taken[sdk] for taken in rounds]
        median = statistics.median(walls)
        spread = f"{min(walls):.2f} – {max(walls):.2f} s"
        each = own / inputs["flowsdk"] / (median / inputs[sdk])
        ratios = ("", "") if sdk == "flowsdk" else (f"{own / median:.3f}", f"{each:.4f}")
        print(
            f"{sdk:10} {inputs[sdk]:7} {median:7.2f} s {spread:>19} "
            f"{median / inputs[sdk] * 1000:7.1f} ms {ratios[0]:>8} {ratios[1]:>9}"
        )
    print(f"ratio: flowsdk / the other, as they are; {options.rounds} interleaved rounds, median")
    return 0


if __name__ == "__main__":
    sys.exit(main())
