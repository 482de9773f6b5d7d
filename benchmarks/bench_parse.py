"""What reading flow files costs Airflow beside hand-written TaskFlow files of as many tasks.

A hundred flows of twenty steps, a hundred DAGs of twenty `@task`s, each in a file of its own, read by
Airflow's DagBag in one process. Rounds are interleaved. Every round has files of its own, for Airflow's
DAG processor reads each file in a new process, where nothing of the last time is remembered; what it
does have is the byte code, so the files are compiled beforehand. Before each round all objects that
there are get frozen, as that processor does it before it forks: otherwise the garbage collector would
go over what the rounds before have left, and whoever sets it off would pay.
"""

from __future__ import annotations

import compileall
import gc
import logging
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

FILES, STEPS, ROUNDS = 100, 20, 7
BUDGET = 1.5

FLOW = '''
from flowsdk import FlowSpec, Parameter, batch, retry, step


class Flow{number}(FlowSpec):
    """One of many."""

    size = Parameter("size", default=3, help="How many.")
{steps}
'''
FLOW_STEP = '''
    @retry(times=2)
    @batch(cpu=2, memory=2048)
    @step
    def {name}(self):
        """Does its part."""
        self.value = {index} * self.size
        {transition}
'''
TASKFLOW = '''
from airflow.sdk import Param, dag, task


@dag(dag_id="taskflow_{number}", schedule=None, params={{"size": Param(3, type="integer")}})
def taskflow_{number}():
    """One of many."""
{tasks}
    {calls}


taskflow_{number}()
'''
TASK = '''
    @task(retries=2)
    def {name}(value=0, params=None):
        """Does its part."""
        return {index} * params["size"]
'''


def flow_file(number: int) -> str:
    """A flow of `STEPS` steps in a row."""
    names = ["start", *(f"step_{index}" for index in range(1, STEPS - 1)), "end"]
    steps = "".join(
        FLOW_STEP.format(
            name=name,
            index=index,
            transition=f"self.next(self.{names[index + 1]})" if name != "end" else "",
        )
        for index, name in enumerate(names)
    )
    return FLOW.format(number=number, steps=steps)


def taskflow_file(number: int) -> str:
    """The same as functions of a `@dag`."""
    names = [f"step_{index}" for index in range(STEPS)]
    tasks = "".join(TASK.format(name=name, index=index) for index, name in enumerate(names))
    calls = f"{names[0]}()"
    for name in names[1:]:
        calls = f"{name}({calls})"
    return TASKFLOW.format(number=number, tasks=tasks, calls=calls)


def write(folder: Path, kind: str) -> None:
    """A dags folder of `FILES` files of one kind, with their byte code."""
    make = flow_file if kind == "flows" else taskflow_file
    folder.mkdir(parents=True)
    for number in range(FILES):
        (folder / f"file_{number}.py").write_text(make(number), "utf-8")
    compileall.compile_dir(folder, quiet=2)


def parse(folder: Path) -> float:
    """Seconds of CPU that Airflow takes to read a folder."""
    from airflow.dag_processing.dagbag import DagBag

    gc.collect()
    gc.freeze()
    started = time.process_time()
    bag = DagBag(folder, collect_dags=True)
    seconds = time.process_time() - started
    if bag.import_errors or sorted(len(dag.tasks) for dag in bag.dags.values()) != [STEPS] * FILES:
        raise SystemExit(f"{folder}: {bag.import_errors or sorted(bag.dags)}")
    return seconds


def main() -> int:
    """Measure and print the table; return 1 if flows take more than their budget."""
    work = Path(tempfile.mkdtemp(prefix="bench-parse-"))
    os.environ.setdefault("AIRFLOW_HOME", str(work / "home"))
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    logging.disable(logging.WARNING)
    times: dict[str, list[float]] = {"flows": [], "taskflow": []}
    try:
        for number in range(ROUNDS + 1):
            for kind, taken in times.items():
                folder = work / f"{kind}_{number}"
                write(folder, kind)
                taken.append(parse(folder))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{FILES} files of {STEPS} tasks   {'median':>9} {'range':>17}")
    for kind, taken in times.items():
        del taken[0]  # what is imported once
        spread = f"{min(taken):.2f} – {max(taken):.2f} s"
        print(f"{kind:24} {statistics.median(taken):7.2f} s {spread:>17}")
    ratio = statistics.median(
        own / other for own, other in zip(times["flows"], times["taskflow"], strict=True)
    )
    print(f"flows / taskflow: {ratio:.2f}, budget {BUDGET}; {ROUNDS} interleaved rounds, median")
    return int(ratio > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
