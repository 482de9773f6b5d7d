"""Ten trivial steps in a row as a DAG of ours, beside the same written by hand with BatchOperator.

One Airflow and one embedded AWS serve both, and their runs take turns, so that a busy moment of the
machine falls on all of them. The jobs of both do the same: they read a number that the job before has
pickled to S3, add one, and pickle it for the next. What a flow's jobs do beyond that – fetching the
code, keeping logs and a record – the hand-written ones do not. What is compared is the time of the DAG run,
from Airflow's own records. The hand-written DAG is measured twice: as the Amazon provider has it by
default, which asks for a job every 30 s, and asking every 5 s.

A trigger that fires within seconds of the deferral can meet a scheduler that fails its task (Airflow
3.3), the more often the busier the machine is. The hand-written tasks are therefore tried again, and
those that were are counted.

The Amazon provider's triggers need aiobotocore, which wants an older botocore than ours: `make bench`
gives them an environment of their own, in which this whole benchmark runs.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import boto3

from airflow_flowprovider.local.standalone import Standalone

ROUNDS = int(os.environ.get("ROUNDS", "3"))
STEPS = 10
LIMIT_SECONDS = 1800
#: Of the ratio to the hand-written DAG as users write it.
LIMIT = 0.6
OWN, DEFAULT, TUNED = "TenSteps", "by_hand", "by_hand_every_5_s"

_BY_HAND = """
from datetime import timedelta

from airflow.providers.amazon.aws.operators.batch import BatchOperator
from airflow.sdk import DAG, chain

SCRIPT = '''
import pickle, sys
import boto3

s3 = boto3.client("s3")
before, own = sys.argv[1:]
n = 0
if before.rpartition("/")[2] != "-1":
    n = pickle.loads(s3.get_object(Bucket="{bucket}", Key=before)["Body"].read()) + 1
s3.put_object(Bucket="{bucket}", Key=own, Body=pickle.dumps(n))
'''

for name, tuned in {{"{default}": {{}}, "{tuned}": {{"poll_interval": 5}}}}.items():
    with DAG(name, schedule=None) as dag:
        folder = "by_hand/{{{{ run_id }}}}"
        chain(
            *(
                BatchOperator(
                    task_id=f"step_{{number}}",
                    job_name="trivial",
                    job_definition="trivial",
                    job_queue="{queue}",
                    container_overrides={{
                        "command": [
                            "python", "-c", SCRIPT, f"{{folder}}/{{number - 1}}", f"{{folder}}/{{number}}"
                        ]
                    }},
                    deferrable=True,
                    retries=2,
                    retry_delay=timedelta(seconds=1),
                    **tuned,
                )
                for number in range({steps})
            )
        )
    globals()[name] = dag
"""


def own_flow() -> str:
    """The source of a flow of so many steps, each of which adds one to a number."""
    names = ["start", *(f"step_{number}" for number in range(1, STEPS - 1)), "end"]
    lines = ["from flowsdk import FlowSpec, step", "", "", f"class {OWN}(FlowSpec):"]
    for name, following in zip(names, [*names[1:], None], strict=True):
        body = "self.n = 0" if name == "start" else "self.n += 1"
        lines += ["    @step", f"    def {name}(self):", f"        {body}"]
        lines += [f"        self.next(self.{following})"] if following else []
        lines.append("")
    return "\n".join(lines)


@dataclass(frozen=True)
class Timed:
    """A run of a DAG.

    Attributes:
        seconds: From its start to its end, by Airflow's records.
        tried_again: How many of its tasks Airflow has tried more than once.
    """

    seconds: float
    tried_again: int


class Api:
    """Airflow's public API, as far as triggering and timing runs takes."""

    def __init__(self, standalone: Standalone) -> None:
        self._url = f"{standalone.api_url}/api/v2"
        self._token = standalone.token()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._url}{path}", data, headers, method=method)
        with urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def wait_for(self, dags: set[str]) -> None:
        """Until these DAGs have been parsed; they may run then."""
        while not dags <= {dag["dag_id"] for dag in self.call("GET", "/dags")["dags"]}:
            time.sleep(0.5)
        for dag in dags:
            self.call("PATCH", f"/dags/{dag}", {"is_paused": False})

    def run(self, dag: str) -> Timed:
        """Run a DAG; it must succeed."""
        asked = {"logical_date": None, "conf": {}}
        path = f"/dags/{dag}/dagRuns"
        run = self.call("POST", path, asked)["dag_run_id"]
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            found = self.call("GET", f"{path}/{quote(run)}")
            if found["state"] == "success":
                start, end = (datetime.fromisoformat(found[k]) for k in ("start_date", "end_date"))
                tasks = self.call("GET", f"{path}/{quote(run)}/taskInstances")["task_instances"]
                again = sum(task["try_number"] > 1 for task in tasks)
                return Timed((end - start).total_seconds(), again)
            if found["state"] == "failed":
                break
            time.sleep(0.2)
        raise SystemExit(f"{dag} {run}: {found['state']}, expected success in {LIMIT_SECONDS} s")


def measure(work: Path) -> dict[str, list[Timed]]:
    """The times of all runs."""
    dags = work / "dags"
    dags.mkdir()
    (dags / "ten_steps.py").write_text(own_flow(), "utf-8")
    times: dict[str, list[Timed]] = {name: [] for name in (OWN, TUNED, DEFAULT)}
    with Standalone(dags, work / "state") as standalone:
        batch = boto3.client("batch", endpoint_url=standalone.aws.endpoint_url, **_CREDENTIALS)
        batch.register_job_definition(
            jobDefinitionName="trivial",
            type="container",
            containerProperties={
                "image": "python:3",
                "command": ["python", "-c", "pass"],
                "resourceRequirements": [
                    {"type": "VCPU", "value": "1"},
                    {"type": "MEMORY", "value": "512"},
                ],
            },
        )
        by_hand = _BY_HAND.format(
            default=DEFAULT,
            tuned=TUNED,
            steps=STEPS,
            queue=standalone.aws.job_queue,
            bucket=standalone.aws.bucket,
        )
        (dags / "by_hand.py").write_text(by_hand, "utf-8")
        api = Api(standalone)
        api.wait_for(set(times))
        for name in (OWN, TUNED):
            api.run(name)  # byte code and disk cache
        for number in range(ROUNDS):
            for name, taken in times.items():
                taken.append(api.run(name))
                print(f"round {number + 1}: {name} {taken[-1].seconds:.1f} s", flush=True)
    return times


_CREDENTIALS = {
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
    "region_name": "us-east-1",
}


def main() -> int:
    """Measure and print the table; return 1 if the limit is not kept."""
    if find_spec("aiobotocore") is None:
        print("left out: aiobotocore is not installed; see `make bench`")
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-linear-", ignore_cleanup_errors=True) as work:
        runs = measure(Path(work))
    medians = {
        name: statistics.median(run.seconds for run in taken) for name, taken in runs.items()
    }
    print(f"{'':20} {'median':>8} {'range':>19} {'tried again':>12} {'ratio':>7}")
    for name, taken in runs.items():
        seconds = [run.seconds for run in taken]
        spread = f"{min(seconds):.1f} – {max(seconds):.1f} s"
        again = sum(run.tried_again for run in taken)
        ratio = "" if name == OWN else f"{medians[OWN] / medians[name]:.2f}"
        print(f"{name:20} {medians[name]:6.1f} s {spread:>19} {again:>6} tasks {ratio:>7}")
    print(f"ratio: ours / the other; {STEPS} steps, {ROUNDS} interleaved rounds, median")
    print(f"limit: {LIMIT} of {DEFAULT}")
    return 0 if medians[OWN] <= LIMIT * medians[DEFAULT] else 1


if __name__ == "__main__":
    sys.exit(main())
