"""One Airflow with one embedded AWS for all end-to-end tests: starting them takes half a minute."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_flowprovider.local.standalone import Standalone
from tests.e2e.support import MAX_MAP_LENGTH, ROOT, Airflow
from tests.servers import PostgreSql, Redis


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def database() -> Iterator[dict[str, str]]:
    """The setting that gives Airflow a PostgreSQL, as in production; without one it has SQLite."""
    if PostgreSql.programs() is None:
        yield {}
        return
    with PostgreSql() as server:
        yield {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.url}


@pytest.fixture(scope="session")
def celery(database: dict[str, str]) -> Iterator[dict[str, str]]:
    """The settings that let Airflow have a Celery worker beside its LocalExecutor, with a Redis."""
    if not database or Redis.program() is None:
        yield {}
        return
    results = database["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    with Redis() as server:
        yield {
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor,CeleryExecutor",
            "AIRFLOW__CELERY__BROKER_URL": server.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{results}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
        }


@pytest.fixture(scope="session")
def airflow(
    tmp_path_factory: pytest.TempPathFactory, database: dict[str, str], celery: dict[str, str]
) -> Iterator[Airflow]:
    """The example flows and those of tests/e2e/flows, in the dags folder of a real Airflow."""
    folder = tmp_path_factory.mktemp("airflow")
    dags = folder / "dags"
    shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (Path(__file__).parent / "flows").glob("*.py"):
        shutil.copy(file, dags)
    extra_env = {
        **database,
        **celery,
        # A worker that was killed is noticed after 20 s instead of 5 minutes.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__FLOWPROVIDER__SYNC_WINDOW": "3",
        "AIRFLOW__CORE__MAX_MAP_LENGTH": str(MAX_MAP_LENGTH),
        # The default of 32 workers at once on two cores makes each so slow that Airflow gives it up.
        "AIRFLOW__CORE__PARALLELISM": "8",
        # Unchanged files need not be parsed every 30 s; those that change are all the same.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
    }
    with Standalone(dags, folder / "state", extra_env=extra_env) as standalone:
        yield Airflow(standalone, dags)
