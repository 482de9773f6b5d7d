"""What a local run costs beside Metaflow: the same flow files, the same machine, interleaved.

The flows in `benchmarks/flows` import from `SDK`, which is replaced by each library's name. Metaflow
comes from `.bench-venv`, which `make bench` builds; without it only flowsdk is measured. Memory is that of
the whole tree of processes at its highest, what several of them share counted once (PSS; looked at ten
times a second, because looking takes time).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
METAFLOW_PYTHON = ROOT / ".bench-venv" / "bin" / "python"
#: Tasks beside the splits of `wide.py`: start, join and end.
_OTHERS = 3


@dataclass(frozen=True)
class Case:
    """What is run.

    Attributes:
        name: In the table.
        flow: File of the flow.
        splits: Of its foreach, if it has one.
        alone: Not with Metaflow: it would take an hour.
    """

    name: str
    flow: str
    splits: int = 0
    alone: bool = False

    @property
    def tasks(self) -> int:
        """How many tasks a run has."""
        return self.splits + _OTHERS if self.splits else 2

    @property
    def options(self) -> list[str]:
        """Of the command."""
        few = ["--max-workers", "2", "--max-num-splits", str(self.splits)]
        return few if self.splits else []


CASES = {
    case.name: case
    for case in (
        Case("linear", "linear.py"),
        Case("50", "wide.py", 50),
        Case("1200", "wide.py", 1200),
        Case("10000", "wide.py", 10_000, alone=True),
    )
}


@dataclass(frozen=True)
class Cost:
    """What one run took.

    Attributes:
        wall: Seconds from the command to its end.
        peak_mib: Memory of all its processes at its highest.
    """

    wall: float
    peak_mib: float


def subjects() -> dict[str, Path]:
    """The interpreters that are compared, by library."""
    found = {"flowsdk": Path(sys.executable)}
    if METAFLOW_PYTHON.exists():
        found["metaflow"] = METAFLOW_PYTHON
    return found


def prepare(folder: Path, sdk: str, names: Iterable[str]) -> None:
    """Write flows with the imports of one library."""
    folder.mkdir()
    for name in names:
        text = (ROOT / "benchmarks" / "flows" / name).read_text("utf-8")
        (folder / name).write_text(text.replace("from SDK", f"from {sdk}"), "utf-8")


def environment(folder: Path) -> dict[str, str]:
    """In which both libraries keep what they store in ``folder``."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "USERNAME": "bench",
        "PYTHONPATH": str(ROOT),
        # Neither is part of running a flow: a notice, and a linter of other people's.
        "METAFLOW_USER": "bench",
        "METAFLOW_RUN_NO_PYLINT": "1",
    }


def touch_memory(size: int) -> None:
    """Use so many bytes, in a process that ends.

    A virtual machine may get memory only when it is first used, which takes a second or more for each
    gigabyte, and loses it when it is free for some seconds: who runs first would pay for all.
    """
    program = """if True:
        import mmap, sys
        room = mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for at in range(0, len(room), mmap.PAGESIZE):
            room[at] = 1
        """
    words = Path("/proc/meminfo").read_text("ascii").split()
    free = int(words[words.index("MemAvailable:") + 1]) * 1024
    subprocess.run([sys.executable, "-c", program, str(min(size, free // 2))], check=True)


def remove_stores(folder: Path) -> None:
    """Remove what either library has stored."""
    for store in (".flowsdk", ".metaflow"):
        shutil.rmtree(folder / store, ignore_errors=True)


def tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    threads: list[Path] = []
    with suppress(OSError):  # it has ended
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    for thread in threads:
        found: list[str] = []
        with suppress(OSError):
            found = (thread / "children").read_text().split()
        for child in found:
            yield from tree(int(child))


def kib(pid: int, file: str, name: str) -> int:
    """What a file of ``/proc`` says of a process, such as ``VmHWM`` in ``status``; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def run(python: Path, folder: Path, case: Case) -> Cost:
    """Run a flow and watch its processes."""
    argv = [python, case.flow, "run", *case.options]
    env = {**environment(folder), "SPLITS": str(case.splits)}
    log = folder / "log"
    started = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(argv, cwd=folder, env=env, stdout=out, stderr=out)
    peaks, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            peaks.append(sum(kib(pid, "smaps_rollup", "Pss") for pid in tree(process.pid)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        failed = process.wait()
    finally:
        wall = time.perf_counter() - started
        process.kill()
        ended.set()
        watcher.join()
    remove_stores(folder)
    if failed:
        raise SystemExit(log.read_text("utf-8", "replace"))
    return Cost(wall, max(peaks) / 1024)


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cases = [CASES[name] for name in options.cases or CASES]
    compared = subjects()
    work = Path(tempfile.mkdtemp(prefix="bench-run-"))
    costs: dict[tuple[str, str], list[Cost]] = {}
    try:
        for sdk, python in compared.items():
            prepare(work / sdk, sdk, {case.flow for case in CASES.values()})
            run(python, work / sdk, CASES["linear"])  # byte code and disk cache
        for _ in range(options.rounds):
            for case in cases:
                for sdk, python in compared.items():
                    if case.alone and sdk != "flowsdk":
                        continue
                    cost = run(python, work / sdk, case)
                    costs.setdefault((case.name, sdk), []).append(cost)
    finally:
        shutil.rmtree(work, ignore_errors=True)

    print(
        f"{'':7} {'library':10} {'wall':>9} {'range':>17} {'a task':>9} {'ratio':>6} "
        f"{'memory':>9} {'ratio':>6}"
    )
    for case in cases:
        own = costs[case.name, "flowsdk"]
        for sdk in compared:
            found = costs.get((case.name, sdk))
            if found is None:
                continue
            walls = [cost.wall for cost in found]
            median = statistics.median(walls)
            peak = statistics.median(cost.peak_mib for cost in found)
            time_ratio = statistics.median(cost.wall for cost in own) / median
            memory_ratio = statistics.median(cost.peak_mib for cost in own) / peak
            ratios = ("", "") if sdk == "flowsdk" else (f"{time_ratio:.2f}", f"{memory_ratio:.2f}")
            spread = f"{min(walls):.2f} – {max(walls):.2f} s"
            print(
                f"{case.name:7} {sdk:10} {median:7.2f} s {spread:>17} "
                f"{median / case.tasks * 1000:6.1f} ms {ratios[0]:>6} {peak:5.0f} MiB {ratios[1]:>6}"
            )
    print(f"ratio: flowsdk / the other; {options.rounds} interleaved rounds, median")
    return 0


if __name__ == "__main__":
    sys.exit(main())
