"""What importing flowsdk costs over a bare interpreter, beside metaflow and boto3.

Every task that is not forked pays this once. `import flowsdk` is lazy, so what a flow file really
asks for, `from flowsdk import FlowSpec, step`, has a line of its own. The measurements are interleaved, so that a busy
moment of the machine falls on all of them, and the median of nine is taken. Rivals come from
`.bench-venv`, which `make bench` builds; without it only what this interpreter has is measured.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RIVALS_PYTHON = ROOT / ".bench-venv" / "bin" / "python"
ROUNDS = 9
BUDGET_MS = 60


@dataclass(eq=False)
class Subject:
    """One statement in one interpreter, and the times it took.

    Attributes:
        label: What the table calls it.
        python: Path of the interpreter.
        statement: Run with `python -c`.
        seconds: Wall time of each measured round.
    """

    label: str
    python: Path
    statement: str
    seconds: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """Median of the rounds, in milliseconds."""
        return statistics.median(self.seconds) * 1000

    def run(self) -> float:
        """Run the statement in a fresh interpreter and return the wall time in seconds."""
        started = time.perf_counter()
        # From the root, so that the tree is measured whether or not it is installed.
        subprocess.run([self.python, "-c", self.statement], cwd=ROOT, check=True)
        return time.perf_counter() - started

    def works(self) -> bool:
        """Tell whether the statement runs here; also writes the byte code and warms the disk."""
        done = subprocess.run(
            [self.python, "-c", self.statement], cwd=ROOT, check=False, capture_output=True
        )
        return done.returncode == 0


def measure(subjects: list[Subject]) -> None:
    """Fill in the times of all subjects, one round of all after another."""
    for _ in range(ROUNDS):
        for subject in subjects:
            subject.seconds.append(subject.run())


def main() -> int:
    """Measure and print the table; return 1 if flowsdk is over its budget."""
    python = Path(sys.executable)
    rivals_python = RIVALS_PYTHON if RIVALS_PYTHON.exists() else python
    bare = Subject("python", python, "pass")
    flowsdk = Subject("import flowsdk", python, "import flowsdk")
    names = Subject(
        "from flowsdk import FlowSpec, step", python, "from flowsdk import FlowSpec, step"
    )
    # A start-up of its own for each environment: what lies in site-packages changes it.
    rivals_bare = Subject("python (rivals' environment)", rivals_python, "pass")
    rivals = [
        Subject(f"import {name}", rivals_python, f"import {name}") for name in ("boto3", "metaflow")
    ]
    if not flowsdk.works():
        print("import flowsdk: failed; run `python -c 'import flowsdk'` to see why")
        return 1
    subjects = [bare, flowsdk, *(s for s in (names, rivals_bare, *rivals) if s.works())]
    measure(subjects)

    own_cost = flowsdk.median_ms - bare.median_ms
    print(f"{'':36} {'median':>9} {'over python':>12} {'ratio to flowsdk':>17}")
    for subject in subjects:
        start = bare if subject in (bare, flowsdk, names) else rivals_bare
        cost = subject.median_ms - start.median_ms
        ratio = "" if subject is start else f"{cost / own_cost:.1f}x"
        print(f"{subject.label:36} {subject.median_ms:6.0f} ms {cost:9.0f} ms {ratio:>17}")
    for subject in (names, *rivals):
        if subject not in subjects:
            print(f"{subject.label:36} does not work here")
    print(f"budget of import flowsdk: {BUDGET_MS} ms, {ROUNDS} interleaved rounds, median")
    return 0 if own_cost <= BUDGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
