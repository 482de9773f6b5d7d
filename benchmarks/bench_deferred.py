"""What a thousand deferred tasks cost a triggerer, beside those of the Amazon provider.

A real triggerer, with the metadata database as a thousand tasks leave it that have deferred, and a
thousand jobs of an embedded AWS Batch, of which sixteen run at a time, so that they end bit by bit.
Nothing else of Airflow runs: no worker would have room beside it. Counted are the DescribeJobs that
reach the endpoint; processor time and memory are those of the triggerer and its child, from when it
is started until the last task has been noticed.

The tasks of ours have results, so that the trigger ends them; those of the Amazon provider would
take another worker each, which is not part of the measurement.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import psutil

from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.server import EmbeddedAws
from flowsdk.datastore import FlowDatastore
from flowsdk.spec import TaskRef, TaskResult

TASKS = int(os.environ.get("TASKS", "1000"))
RUNNING = 16
JOB_SECONDS = 2
#: All jobs wait at least so long for a host: until the triggerer knows of all of them.
QUEUED_SECONDS = 90.0
LIMIT_SECONDS = 1200
#: An interval of ours is at least 2 s, and a call asks for a hundred jobs.
LIMIT_PER_MINUTE = 30 * TASKS / 100
OWN, AMAZON = "ours", "amazon"
TIME = "2026-01-01T00:00:00+00:00"

_DAG = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

for name in ("{own}", "{amazon}"):
    with DAG(name, schedule=None) as dag:
        EmptyOperator.partial(task_id="task").expand_kwargs([{{}} for _ in range({tasks})])
    globals()[name] = dag
"""


@dataclass
class Measured:
    """What a triggerer did with a thousand tasks.

    Attributes:
        seconds: From its start until no task was deferred any more.
        cpu_seconds: Processor time.
        rss_mib: The most memory it had at a time.
        requests: Requests to AWS by operation.
        states: How many tasks ended in which state of Airflow.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    rss_mib: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)

    def per_minute(self, operation: str) -> float:
        """Requests of an operation a minute."""
        return self.requests.get(operation, 0) * 60 / self.seconds


class Deployment:
    """The parts of Airflow that it takes, and an AWS.

    Args:
        work: Folder for everything.
        aws: The AWS.
    """

    def __init__(self, work: Path, aws: EmbeddedAws) -> None:
        self._aws = aws
        self._dags = work / "dags"
        self._home = work / "airflow"
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "AWS"))},
            **aws.env,
            "AIRFLOW_HOME": str(self._home),
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self._dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        boto3.setup_default_session(
            aws_access_key_id="embedded", aws_secret_access_key="embedded", region_name="us-east-1"
        )

    def prepare(self) -> None:
        """Make the database and the definition of the jobs."""
        self._dags.mkdir()
        dag = _DAG.format(own=OWN, amazon=AMAZON, tasks=TASKS)
        (self._dags / "deferred.py").write_text(dag, "utf-8")
        self._run("-m", "airflow", "db", "migrate")
        self._client("batch").register_job_definition(
            jobDefinitionName="sleep",
            type="container",
            containerProperties={
                "image": "python:3",
                "command": ["sleep", str(JOB_SECONDS)],
                "resourceRequirements": [
                    {"type": "VCPU", "value": "1"},
                    {"type": "MEMORY", "value": "128"},
                ],
            },
        )

    def measure(self, subject: str) -> Measured:
        """Submit jobs, let tasks be deferred to them, and start a triggerer."""
        batch = self._client("batch")
        jobs = [
            batch.submit_job(jobName="sleep", jobQueue="flows", jobDefinition="sleep")["jobId"]
            for _ in range(TASKS)
        ]
        if subject == OWN:
            self._write_results()
        self._run(__file__, "defer", subject, stdin=json.dumps(jobs))
        self._aws.requests(reset=True)
        with (self._home / f"triggerer-{subject}.log").open("w") as log:
            triggerer = subprocess.Popen(
                [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"],
                env=self.env,
                stdout=log,
                stderr=log,
            )
        try:
            return self._watch(psutil.Process(triggerer.pid), subject)
        finally:
            triggerer.terminate()
            triggerer.wait(60)

    def _watch(self, triggerer: psutil.Process, subject: str) -> Measured:
        started = time.monotonic()
        measured = Measured()
        while True:
            time.sleep(1)
            parts = [triggerer, *triggerer.children(recursive=True)]
            cpu = [part.cpu_times() for part in parts]
            measured.cpu_seconds = sum(times.user + times.system for times in cpu)
            rss = sum(part.memory_info().rss for part in parts) / 2**20
            measured.rss_mib = max(measured.rss_mib, rss)
            measured.seconds = time.monotonic() - started
            measured.states = self._states(subject)
            if not measured.states.get("deferred") or measured.seconds > LIMIT_SECONDS:
                measured.requests = self._aws.requests()
                return measured

    def _states(self, subject: str) -> dict[str, int]:
        query = "select state, count(*) from task_instance where dag_id = ? group by state"
        path = f"file:{self._home / 'airflow.db'}?mode=ro"
        with sqlite3.connect(path, uri=True, timeout=30) as connection:
            return dict(connection.execute(query, (subject,)).fetchall())

    def _write_results(self) -> None:
        root = f"s3://{self._aws.bucket}/flowsdk"
        store = FlowDatastore.at(root, OWN, self._client("s3"))
        for index in range(TASKS):
            where = (OWN, "run", "task", str(index), 0)
            store.write_result(TaskResult(*where, "succeeded", TIME, TIME))

    def _client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self._aws.endpoint_url)

    def _run(self, *arguments: str, stdin: str = "") -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.env,
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{arguments}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def defer(subject: str, jobs: list[str]) -> None:
    """In an environment with a database: leave it as tasks do that have deferred."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.trigger import Trigger
    from airflow.sdk.timezone import utcnow
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(DagBag(bundle_name="dags-folder"), "dags-folder", None)
    with create_session() as session:
        dag = SerializedDagModel.get_dag(subject, session=session)
        assert dag is not None
        run = dag.create_dagrun(
            run_id="run",
            run_after=utcnow(),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            session=session,
        )
        run.task_instance_scheduling_decisions(session=session)
        tasks = run.get_task_instances(session=session)
        assert len(tasks) == TASKS, len(tasks)
        triggers = [Trigger.from_object(_trigger(subject, t.map_index, jobs)) for t in tasks]
        session.add_all(triggers)
        session.flush()
        for task, trigger in zip(tasks, triggers, strict=True):
            task.state = TaskInstanceState.DEFERRED
            task.trigger_id = trigger.id
            task.next_method = "resume"
            task.next_kwargs = {}
            task.try_number = 1


def _trigger(subject: str, index: int, jobs: list[str]) -> Any:
    """Of a task: with what our operator, and the Amazon provider's, gives it by default."""
    if subject == AMAZON:
        from airflow.providers.amazon.aws.triggers.batch import BatchJobTrigger as AmazonTrigger

        return AmazonTrigger(job_id=jobs[index], waiter_delay=30, waiter_max_attempts=4200)
    from airflow_flowprovider.config import ProviderConfig
    from airflow_flowprovider.links import job_xcom
    from airflow_flowprovider.triggers.batch import BatchJobTrigger

    config = ProviderConfig.load()
    return BatchJobTrigger(
        jobs=[{"id": jobs[index], "specs": "unused", "size": 1}],
        aws_conn_id=config.aws_conn_id,
        region_name=config.region_name,
        root="s3://flows/flowsdk",
        flow=OWN,
        run="run",
        ref=str(TaskRef("task", str(index), 0)),
        next_chunk=0,
        round_number=0,
        job=job_xcom(jobs[index], "us-east-1", config.log_group, None),
        ends_here=True,
        deferred_at=time.time(),
        hold=config.trigger_hold,
        poll_interval_min=config.poll_interval_min,
        poll_interval_max=config.poll_interval_max,
    )


def main() -> int:
    """Measure and print the table; return 1 if a task was missed or AWS asked too often."""
    subjects = [OWN, *([AMAZON] if find_spec("aiobotocore") else [])]
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="bench-deferred-", ignore_cleanup_errors=True) as name:
        work = Path(name)
        settings = Settings(runnable_seconds=QUEUED_SECONDS)
        with EmbeddedAws(work / "aws", settings=settings, max_vcpus=RUNNING) as aws:
            deployment = Deployment(work, aws)
            deployment.prepare()
            for subject in subjects:
                found[subject] = deployment.measure(subject)
    print(f"{'':8} {'seconds':>8} {'DescribeJobs':>13} {'per minute':>11} {'CPU':>8} {'RSS':>9}")
    for subject, each in found.items():
        print(
            f"{subject:8} {each.seconds:6.0f} s {each.requests.get('batch:DescribeJobs', 0):>13} "
            f"{each.per_minute('batch:DescribeJobs'):>11.0f} {each.cpu_seconds:6.1f} s "
            f"{each.rss_mib:5.0f} MiB  {dict(each.states)}"
        )
    own = found[OWN]
    print(f"other requests of ours: {dict(own.requests)}")
    print(
        f"{TASKS} deferred tasks; limit: {LIMIT_PER_MINUTE:.0f} DescribeJobs a minute, none missed"
    )
    if AMAZON not in found:
        print("the Amazon provider is left out: aiobotocore is not installed")
    missed = any(each.states.get("deferred") for each in found.values())
    return int(missed or own.per_minute("batch:DescribeJobs") > LIMIT_PER_MINUTE)


if __name__ == "__main__":
    if sys.argv[1:2] == ["defer"]:
        defer(sys.argv[2], json.load(sys.stdin))
    else:
        sys.exit(main())
