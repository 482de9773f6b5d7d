"""A wide foreach as an array and as mapped tasks, beside the same written by hand with BatchOperator.

One Airflow, on PostgreSQL where it is installed, and one embedded AWS serve all. The DAG by hand maps
a deferrable ``BatchOperator`` of the Amazon provider over as many numbers; its jobs do what the flow's
step does – square a number, store it in S3 with boto3 – and a TaskFlow task reads and adds up all
results. It is measured as the provider has it by default, which asks for a job every 30 s, and asking
every 5 s. Its tasks may be tried again: some fail because their trigger fires before Airflow has taken
notice of their deferral. Calls of AWS are counted where they arrive; times are those of the DAG runs, by Airflow's
own records, so most of a long run's time is that of its jobs, which share this machine's cores.

The Amazon provider's triggers need aiobotocore, which `make bench` installs apart from ours.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import boto3

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from airflow_flowprovider.local.requests import REQUESTS_PATH  # noqa: E402
from airflow_flowprovider.local.standalone import Standalone  # noqa: E402
from flowsdk.aws_batch.launching import MAX_ARRAY  # noqa: E402
from tests.e2e.support import Airflow, until  # noqa: E402
from tests.servers import PostgreSql  # noqa: E402

_FLOW = """
from flowsdk import FlowSpec, Parameter, batch, resources, step


class {name}(FlowSpec):
    splits = Parameter("splits", default=10)

    @resources(memory=512)
    @step
    def start(self):
        self.numbers = range(self.splits)
        self.next(self.square, foreach="numbers")

    @batch(memory=512, array={array})
    @step
    def square(self):
        self.result = self.input**2
        self.next(self.join)

    @resources(memory=1024)
    @step
    def join(self, inputs):
        self.count, self.total = len(inputs), sum(one.result for one in inputs)
        self.next(self.end)

    @resources(memory=512)
    @step
    def end(self):
        print(self.count, self.total)


if __name__ == "__main__":
    {name}()
"""
_JOB = (
    "import boto3, sys; n = int(sys.argv[2]); "
    "boto3.client('s3').put_object(Bucket='{bucket}', Key=f'{{sys.argv[1]}}/{{n}}', Body=str(n**2))"
)
_BY_HAND = """
from datetime import timedelta

import boto3
from airflow.providers.amazon.aws.operators.batch import BatchOperator
from airflow.sdk import DAG, Param, task

JOB = {job!r}

for name, tuned in {{"by_hand": {{}}, "by_hand_every_5_s": {{"poll_interval": 5}}}}.items():
    with DAG(name, schedule=None, params={{"splits": Param(10)}}) as dag:

        @task
        def commands(params, run_id):
            return [
                {{"command": ["python", "-c", JOB, run_id, str(n)]}} for n in range(params["splits"])
            ]

        @task
        def join(params, run_id):
            s3 = boto3.client("s3")
            def read(n):
                return int(s3.get_object(Bucket="{bucket}", Key=f"{{run_id}}/{{n}}")["Body"].read())
            return sum(read(n) for n in range(params["splits"]))

        squares = BatchOperator.partial(
            task_id="square",
            job_name="square",
            job_definition="square",
            job_queue="{queue}",
            deferrable=True,
            retries=5,
            retry_delay=timedelta(seconds=1),
            **tuned,
        ).expand(container_overrides=commands())
        squares >> join()
    globals()[name] = dag
"""
ARRAY, MAPPED, BY_HAND, TUNED = "WideArray", "WideMapped", "by_hand", "by_hand_every_5_s"


@dataclass(frozen=True)
class Measured:
    """What a run of a DAG has cost.

    Attributes:
        dag: Of the DAG.
        splits: How wide it was.
        seconds: From the start of the run to its end.
        join_seconds: Of the task instance that joins.
        instances: Task instances of the step that runs once for each split.
        retried: Of these, those that Airflow tried again.
        jobs: Jobs that were submitted for it.
        calls: Of AWS, by operation.
    """

    dag: str
    splits: int
    seconds: float
    join_seconds: float
    instances: int
    retried: int
    jobs: int
    calls: Counter[str]

    def problems(self) -> Iterator[str]:
        """What does not hold that has to."""
        arrays = math.ceil(self.splits / MAX_ARRAY)
        if self.dag == ARRAY and (self.instances, self.jobs) != (1, arrays):
            yield (
                f"{self.dag}: found {self.instances} task instances and {self.jobs} jobs, expected "
                f"1 and {arrays}"
            )


class Failed(Exception):
    """A run did not succeed."""


class Bench:
    """Runs of the DAGs in one Airflow."""

    def __init__(self, airflow: Airflow, limit_seconds: float) -> None:
        self._airflow = airflow
        self._limit = limit_seconds
        aws = airflow.standalone.aws
        self._counts = f"{aws.endpoint_url}{REQUESTS_PATH}"
        self._batch = boto3.client("batch", endpoint_url=aws.endpoint_url)

    def add_dags(self) -> None:
        """Put the files into the dags folder."""
        aws = self._airflow.standalone.aws
        for name, array in ((ARRAY, True), (MAPPED, False)):
            text = _FLOW.format(name=name, array=array)
            (self._airflow.dags / f"{name}.py").write_text(text, "utf-8")
        self._batch.register_job_definition(
            jobDefinitionName="square",
            type="container",
            containerProperties={
                "image": "python:3",
                "command": ["true"],
                "resourceRequirements": [
                    {"type": "VCPU", "value": "1"},
                    {"type": "MEMORY", "value": "512"},
                ],
            },
        )
        job = _JOB.format(bucket=aws.bucket)
        text = _BY_HAND.format(job=job, bucket=aws.bucket, queue=aws.job_queue)
        (self._airflow.dags / "by_hand.py").write_text(text, "utf-8")

    def measure(self, dag: str, splits: int) -> Measured:
        """Run a DAG that wide and check its result."""
        until(f"{dag} is parsed", lambda: dag in self._airflow.dag_ids())
        before = len(self._airflow.jobs(f"{dag}_square"))
        self._take_counts()
        run = self._airflow.trigger(dag, {"splits": splits})
        state = self._airflow.wait(dag, run, self._limit)
        calls = self._take_counts()
        jobs = len(self._airflow.jobs(f"{dag}_square")) - before
        if state != "success":
            told = self._airflow.failures(dag, run)[-5000:]
            raise Failed(f"{dag} {run}: {state}\n{told}")
        self._check_total(dag, run, splits)
        path = f"/dags/{dag}/dagRuns/{quote(run)}"
        found = self._airflow.call("GET", path)
        query = (
            "select count(*), sum(case when try_number > 1 then 1 else 0 end) "
            "from task_instance where dag_id=? and run_id=? and task_id='square'"
        )
        ((instances, retried),) = self._airflow.sql(query, dag, run)
        joined = self._airflow.call("GET", f"{path}/taskInstances/join")["duration"]
        seconds = _time(found["end_date"]) - _time(found["start_date"])
        return Measured(dag, splits, seconds, joined, instances, int(retried), jobs, calls)

    def _take_counts(self) -> Counter[str]:
        with urlopen(Request(self._counts, method="DELETE"), timeout=60) as answer:
            return Counter(json.loads(answer.read()))

    def _check_total(self, dag: str, run: str, splits: int) -> None:
        expected = sum(n**2 for n in range(splits))
        if dag in (ARRAY, MAPPED):
            script = f"from flowsdk import Run; print(Run({f'{dag}/{run}'!r}).data.total)"
            found = int(self._airflow.read_with_client(script))
        else:
            path = f"/dags/{dag}/dagRuns/{quote(run)}/taskInstances/join/xcomEntries/return_value"
            found = int(self._airflow.call("GET", path)["value"])
        if found != expected:
            raise SystemExit(f"{dag} {run}: found a total of {found}, expected {expected}")


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@contextmanager
def _airflow(work: Path) -> Iterator[Airflow]:
    dags = work / "dags"
    dags.mkdir()
    settings = {}
    with ExitStack() as stack:
        if PostgreSql.programs() is not None:
            database = stack.enter_context(PostgreSql())
            settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database.url
        standalone = Standalone(dags, work / "state", extra_env=settings)
        stack.enter_context(standalone)
        os.environ.update(standalone.aws.env)  # for boto3 here
        yield Airflow(standalone, dags)


def _show(measured: list[Measured]) -> None:
    print(
        f"\n{'':22} {'splits':>7} {'run':>9} {'a split':>9} {'ratio':>6} {'join':>8} "
        f"{'instances':>9} {'retried':>7}"
    )
    of_hand = {m.dag: m.seconds / m.splits for m in measured}.get(BY_HAND)
    for m in measured:
        each = m.seconds / m.splits
        ratio = f"{each / of_hand:.2f}" if of_hand else ""
        print(
            f"{m.dag:22} {m.splits:7} {m.seconds:7.1f} s {each * 1000:6.0f} ms {ratio:>6} "
            f"{m.join_seconds:6.1f} s {m.instances:9} {m.retried:7}"
        )
    print(f"ratio: of the time a split takes, to that of {BY_HAND}\n\ncalls of AWS:")
    operations = sorted({name for m in measured for name in m.calls})
    print(f"{'':32}" + "".join(f"{m.dag[:14]:>15}" for m in measured))
    print(f"{'':32}" + "".join(f"{m.splits:>15}" for m in measured))
    for name in operations:
        print(f"{name:32}" + "".join(f"{m.calls[name]:>15}" for m in measured))


def main() -> int:
    """Measure and print the tables; 1 if something does not hold that has to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--compare", type=int, default=100, help="splits of the comparison; 0: none"
    )
    parser.add_argument("--array", type=int, default=1000, help="splits of the array; 0: none")
    parser.add_argument("--mapped", type=int, default=0, help="splits of the mapped flow; 0: none")
    parser.add_argument("--hours", type=float, default=1.0, help="the most that a run may take")
    asked = parser.parse_args()
    rivals = (TUNED, BY_HAND) if find_spec("aiobotocore") else ()
    if not rivals:
        print("the DAG by hand is left out: aiobotocore is not installed; see `make bench`")
    plan = [(dag, asked.compare) for dag in (ARRAY, MAPPED, *rivals)]
    plan += [(ARRAY, asked.array), (MAPPED, asked.mapped)]
    measured = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-wide-", ignore_cleanup_errors=True) as work,
        _airflow(Path(work)) as airflow,
    ):
        bench = Bench(airflow, asked.hours * 3600)
        bench.add_dags()
        for dag, splits in plan:
            if not splits:
                continue
            try:
                measured.append(bench.measure(dag, splits))
            except Failed as failed:
                if dag not in rivals:  # theirs leave a gap
                    raise
                print(failed, flush=True)
            else:
                print(f"{dag}, {splits} splits: {measured[-1].seconds:.1f} s", flush=True)
    _show(measured)
    problems = [problem for m in measured for problem in m.problems()]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
