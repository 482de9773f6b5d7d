"""Ten trivial steps in a row as a DAG of ours, beside the same written by hand with BatchOperator.

One Airflow and one embedded AWS serve both, and their runs take turns, so that a busy moment of the
machine falls on all of them. The hand-written jobs run ``python -c pass``: they read no code and no
inputs and leave no results, which a flow's jobs do. What is compared is the time of the DAG run, from
Airflow's own records. The hand-written DAG is measured twice: as the Amazon provider has it by
default, which asks for a job every 30 s, and asking every 5 s. More often it fails: in Airflow 3.3 a
trigger that fires within seconds of the deferral can meet a scheduler that fails its task, and even
every 5 s is close to that on a busy machine. Runs that fail are counted, and not timed.

The Amazon provider's triggers need aiobotocore, which wants an older botocore than ours: `make bench`
gives them an environment of their own, in which this whole benchmark runs.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import tempfile
import time
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
from airflow.providers.amazon.aws.operators.batch import BatchOperator
from airflow.sdk import DAG, chain

for name, tuned in {{"{default}": {{}}, "{tuned}": {{"poll_interval": 5}}}}.items():
    with DAG(name, schedule=None) as dag:
        chain(
            *(
                BatchOperator(
                    task_id=f"step_{{number}}",
                    job_name="trivial",
                    job_definition="trivial",
                    job_queue="{queue}",
                    deferrable=True,
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

    def run(self, dag: str) -> float | None:
        """Seconds that a run of a DAG takes, by Airflow's records; None if it fails."""
        asked = {"logical_date": None, "conf": {}}
        path = f"/dags/{dag}/dagRuns"
        run = self.call("POST", path, asked)["dag_run_id"]
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            found = self.call("GET", f"{path}/{quote(run)}")
            if found["state"] == "success":
                start, end = (datetime.fromisoformat(found[k]) for k in ("start_date", "end_date"))
                return (end - start).total_seconds()
            if found["state"] == "failed":
                return None
            time.sleep(0.2)
        raise SystemExit(f"{dag} {run}: {found['state']} after {LIMIT_SECONDS} s, expected an end")


def measure(work: Path) -> dict[str, list[float | None]]:
    """The times of all runs."""
    dags = work / "dags"
    dags.mkdir()
    (dags / "ten_steps.py").write_text(own_flow(), "utf-8")
    times: dict[str, list[float | None]] = {name: [] for name in (OWN, TUNED, DEFAULT)}
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
            default=DEFAULT, tuned=TUNED, steps=STEPS, queue=standalone.aws.job_queue
        )
        (dags / "by_hand.py").write_text(by_hand, "utf-8")
        api = Api(standalone)
        api.wait_for(set(times))
        for name in (OWN, TUNED):
            api.run(name)  # byte code and disk cache
        for number in range(ROUNDS):
            for name, taken in times.items():
                taken.append(api.run(name))
                print(f"round {number + 1}: {name} {taken[-1] or 'failed'}", flush=True)
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
    times = {name: [time for time in taken if time is not None] for name, taken in runs.items()}
    if not (len(times[OWN]) == ROUNDS and times[DEFAULT]):
        print(f"failed runs: {runs}")
        return 1
    own = statistics.median(times[OWN])
    print(f"{'':22} {'median':>9} {'range':>19} {'failed':>7} {'ratio':>7}")
    for name, taken in times.items():
        median = statistics.median(taken) if taken else math.nan
        spread = f"{min(taken, default=math.nan):.1f} – {max(taken, default=math.nan):.1f} s"
        ratio = "" if name == OWN else f"{own / median:.2f}"
        print(f"{name:22} {median:7.1f} s {spread:>19} {ROUNDS - len(taken):>7} {ratio:>7}")
    print(f"ratio: ours / the other; {STEPS} steps, {ROUNDS} interleaved rounds, median")
    print(f"limit: {LIMIT} of {DEFAULT}")
    return 0 if own <= LIMIT * statistics.median(times[DEFAULT]) else 1


if __name__ == "__main__":
    sys.exit(main())
