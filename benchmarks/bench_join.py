"""A join that reads one small artifact of each of its inputs from S3, beside Metaflow.

The flow, `benchmarks/flows/join.py`, runs once with each; then its join is run again and again, from the
command to its end: ours with `spin join`, Metaflow's with the command that its own scheduler gives (its
`spin` finds no inputs in S3). All talk to tests/s3_endpoint.py over loopback. Metaflow reads the inputs one
after the other, with a process for each, so it gets fewer of them by default.
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
from collections.abc import Mapping
from pathlib import Path

import bench_run
import bench_s3

FLOW = "join.py"
#: How many tasks run at once, before the join.
WORKERS = ["--max-workers", "2"]


def flowsdk_join(python: Path, folder: Path, env: Mapping[str, str]) -> list[str]:
    """Run the flow; the command that runs its join again."""
    flow = [str(python), FLOW, "--datastore-root", f"s3://{bench_s3.BUCKET}/flowsdk"]
    _run([*flow, "run", *WORKERS], folder, env)
    return [*flow, "spin", "join"]


def metaflow_join(python: Path, folder: Path, env: Mapping[str, str]) -> list[str]:
    """Run the flow; the command that runs its join again."""
    told = _run(
        [str(python), FLOW, "--datastore", "s3", "run", *WORKERS],
        folder,
        {**env, "METAFLOW_DEBUG_SUBCOMMAND": "1"},
    )
    found = re.search(r"^debug\[subcommand [^]]*]: (.* step join .*)$", told, re.MULTILINE)
    assert found, told
    return shlex.split(found[1])


def again(command: list[str], number: int) -> list[str]:
    """The command with another task where it names one."""
    if "--task-id" not in command:
        return command
    at = command.index("--task-id") + 1
    return [*command[:at], str(1_000_000 + number), *command[at + 1 :]]


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
    compared = bench_run.subjects()
    work = Path(tempfile.mkdtemp(prefix="bench-join-"))
    taken: dict[str, list[float]] = {sdk: [] for sdk in compared}
    try:
        with bench_s3.endpoint() as url:
            bench_s3.make_bucket(url)
            joins = {}
            for sdk, python in compared.items():
                bench_run.prepare(work / sdk, sdk, [FLOW])
                env = {
                    **bench_run.environment(work / sdk),
                    **bench_s3.environment(url),
                    "INPUTS": str(inputs[sdk]),
                    "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{bench_s3.BUCKET}/metaflow",
                }
                prepare = {"flowsdk": flowsdk_join, "metaflow": metaflow_join}[sdk]
                joins[sdk] = (prepare(python, work / sdk, env), env)
            for number in range(options.rounds):
                for sdk, (command, env) in joins.items():
                    started = time.perf_counter()
                    _run(again(command, number), work / sdk, env)
                    taken[sdk].append(time.perf_counter() - started)
    finally:
        shutil.rmtree(work, ignore_errors=True)

    print(f"{'library':10} {'inputs':>7} {'median':>9} {'range':>19} {'ratio':>8}")
    own = statistics.median(taken["flowsdk"])
    for sdk, walls in taken.items():
        median = statistics.median(walls)
        spread = f"{min(walls):.2f} – {max(walls):.2f} s"
        ratio = "" if sdk == "flowsdk" else f"{own / median:.3f}"
        print(f"{sdk:10} {inputs[sdk]:7} {median:7.2f} s {spread:>19} {ratio:>8}")
    print(f"ratio: flowsdk / the other, as they are; {options.rounds} interleaved rounds, median")
    return 0


if __name__ == "__main__":
    sys.exit(main())
