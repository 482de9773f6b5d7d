"""What large artifacts cost beside Metaflow: time, processor time and memory of a run of two steps.

The flows are `benchmarks/flows/big_array.py` and `many_rows.py`; see `bench_run.py`, with which this
shares how flows are prepared. Memory is the highest resident set of any process of the run. Right before each
run is another that does not count: a virtual machine may take seconds to get memory that it has not used for some.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import bench_run

CASES = ("big_array.py", "many_rows.py")


@dataclass(frozen=True)
class Cost:
    """What one run took.

    Attributes:
        wall: Seconds from the command to its end.
        cpu: Seconds of processor time of all its processes.
        peak_mib: The highest resident set of one of them.
    """

    wall: float
    cpu: float
    peak_mib: float


def run(python: Path, folder: Path, name: str) -> Cost:
    """Run a flow and watch its processes."""
    before, started = os.times(), time.perf_counter()
    argv = [python, name, "run"]
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env=bench_run.environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,  # a few lines
    )
    peak_kib = 0
    while process.poll() is None:
        highest = (bench_run.kib(pid, "status", "VmHWM") for pid in bench_run.tree(process.pid))
        peak_kib = max([peak_kib, *highest])
        time.sleep(0.02)
    wall, after = time.perf_counter() - started, os.times()
    told = process.communicate()[1]
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv, stderr=told)
    cpu = after.children_user - before.children_user
    cpu += after.children_system - before.children_system
    return Cost(wall, cpu, peak_kib / 1024)


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="case", help=f"{' or '.join(CASES)}; both")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rounds, cases = options.rounds, options.cases or CASES
    if unknown := set(cases) - set(CASES):
        parser.error(f"found {', '.join(unknown)}, expected {' or '.join(CASES)}")
    subjects = bench_run.subjects()
    work = Path(tempfile.mkdtemp(prefix="bench-artifacts-"))
    costs: dict[tuple[str, str], list[Cost]] = {}
    try:
        for sdk in subjects:
            bench_run.prepare(work / sdk, sdk, cases)
        for _ in range(rounds):
            for name in cases:
                for sdk, python in subjects.items():
                    for taken in ([], costs.setdefault((name, sdk), [])):
                        taken.append(run(python, work / sdk, name))
                        bench_run.remove_stores(work / sdk)
    finally:
        shutil.rmtree(work, ignore_errors=True)

    print(f"{'':14} {'library':10} {'wall':>8} {'range':>17} {'cpu':>8} {'peak':>10} {'ratio':>7}")
    for name in cases:
        own = statistics.median(cost.wall for cost in costs[name, "flowsdk"])
        for sdk in subjects:
            found = costs[name, sdk]
            walls = [cost.wall for cost in found]
            wall = statistics.median(walls)
            cpu = statistics.median(cost.cpu for cost in found)
            peak = statistics.median(cost.peak_mib for cost in found)
            spread = f"{min(walls):.2f} – {max(walls):.2f} s"
            ratio = "" if sdk == "flowsdk" else f"{own / wall:.2f}"
            print(
                f"{name:14} {sdk:10} {wall:6.2f} s {spread:>17} {cpu:6.2f} s {peak:6.0f} MiB {ratio:>7}"
            )
    print(f"ratio: flowsdk / the other, wall; {rounds} interleaved rounds, median")
    return 0


if __name__ == "__main__":
    sys.exit(main())
