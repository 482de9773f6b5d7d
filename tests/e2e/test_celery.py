"""Flows whose tasks are carried out by a Celery worker."""

from __future__ import annotations

import pytest

from flowsdk.aws_batch.names import task_prefix
from tests.e2e.support import Airflow, until
from tests.servers import PostgreSql, Redis

DAG = "CeleryFlow"
SOURCE = """
from flowsdk import airflow
from waiting import WaitingFlow


# A FlowSpec, which is the word that Airflow reads on for.
@airflow(executor="CeleryExecutor")
class CeleryFlow(WaitingFlow):
    pass
"""

pytestmark = [
    pytest.mark.skipif(
        None in (PostgreSql.programs(), Redis.program()), reason="needs postgresql and redis-server"
    ),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module", autouse=True)
def dag(airflow: Airflow) -> None:
    (airflow.dags / "celery_flow.py").write_text(SOURCE)


def _release(airflow: Airflow, key: str) -> None:
    for name in (key, f"{key}-one", f"{key}-two"):
        airflow.client("s3").put_object(Bucket="flows", Key=f"switches/{name}", Body=b"")


def test_flows_run_and_are_cleared_on_celery(airflow: Airflow) -> None:
    # Both at once: one has its way free from the beginning, one is cleared while its job runs.
    _release(airflow, "free")
    free = airflow.trigger(DAG, {"key": "free"})
    cleared = airflow.trigger(DAG, {"key": "cleared"})
    until("start waits for its job", lambda: _state(airflow, cleared) == "deferred")
    (first,) = _started(airflow, cleared)
    airflow.clear(DAG, cleared, "start")
    until("its job is ended", lambda: _started(airflow, cleared)[first] == "FAILED")
    _release(airflow, "cleared")
    for run in (free, cleared):
        assert airflow.wait(DAG, run, 400) == "success", airflow.failures(DAG, run)
    jobs = _started(airflow, cleared)
    assert sorted(jobs.values()) == ["FAILED", "SUCCEEDED"]

    executors = airflow.sql("select distinct executor from task_instance where dag_id=?", DAG)
    assert executors == [("CeleryExecutor",)]
    # Celery's own book, which it writes after Airflow's: each task of both runs took a worker.
    query = "select count(*) from celery_taskmeta where status='SUCCESS'"
    until("Celery has noted all tasks", lambda: airflow.sql(query)[0][0] >= 2 * 5)
    script = f"""
from flowsdk.client import Run, namespace
namespace(None)
print(Run("{DAG}/{cleared}")["join"].task.data.joined)
"""
    assert airflow.read_with_client(script).split("\n")[0] == "['one', 'two']"


def _state(airflow: Airflow, run: str) -> str | None:
    found = [t["state"] for t in airflow.tasks(DAG, run) if t["task_id"] == "start"]
    return found[0] if found else None


def _started(airflow: Airflow, run: str) -> dict[str, str]:
    """The jobs of a run's first step, with their states."""
    jobs = airflow.jobs(task_prefix(DAG, run, "start", "0"))
    return {job["jobName"]: job["status"] for job in jobs}
