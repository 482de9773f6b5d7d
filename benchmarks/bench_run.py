"""What a local run costs beside Metaflow: the same flow files, the same machine, interleaved.

The flows in `benchmarks/flows` import from `SDK`, which is replaced by each library's name. Metaflow
comes from `.bench-venv`, which `make bench` builds; without it only flowsdk is measured.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
METAFLOW_PYTHON = ROOT / ".bench-venv" / "bin" / "python"
ROUNDS = 5
CASES = {"linear.py": [], "wide.py": ["--max-workers", "2"]}


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


def run(python: Path, folder: Path, name: str) -> float:
    """Seconds that a run takes, from the command to its end."""
    started = time.perf_counter()
    subprocess.run(
        [python, name, "run", *CASES[name]],
        cwd=folder,
        env=environment(folder),
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


def main() -> int:
    """Measure and print the table."""
    compared = subjects()
    work = Path(tempfile.mkdtemp(prefix="bench-run-"))
    try:
        for sdk, python in compared.items():
            prepare(work / sdk, sdk, CASES)
            run(python, work / sdk, "linear.py")  # byte code and disk cache
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(ROUNDS):
            for name in CASES:
                for sdk, python in compared.items():
                    times.setdefault((name, sdk), []).append(run(python, work / sdk, name))
    finally:
        shutil.rmtree(work, ignore_errors=True)

    print(f"{'':12} {'library':10} {'median':>9} {'range':>15} {'ratio':>8}")
    for name in CASES:
        own = statistics.median(times[name, "flowsdk"])
        for sdk in compared:
            taken = times[name, sdk]
            median = statistics.median(taken)
            spread = f"{min(taken):.2f} – {max(taken):.2f} s"
            ratio = "" if sdk == "flowsdk" else f"{own / median:.2f}"
            print(f"{name:12} {sdk:10} {median:7.2f} s {spread:>15} {ratio:>8}")
    print(f"ratio: flowsdk / the other; {ROUNDS} interleaved rounds, median")
    return 0


if __name__ == "__main__":
    sys.exit(main())
