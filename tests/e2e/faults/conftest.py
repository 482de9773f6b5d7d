"""An Airflow of their own for the tests of faults: what they do to it, others would feel."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from airflow_flowprovider.local.batch.settings import Settings
from tests.e2e.faults.proxy import FaultProxy
from tests.e2e.faults.support import FaultyAirflow, KillableStandalone
from tests.servers import PostgreSql


@pytest.fixture(scope="package")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyAirflow]:
    folder = tmp_path_factory.mktemp("faulty")
    dags = folder / "dags"
    shutil.copytree(Path(__file__).parent / "flows", dags)
    with (
        FaultProxy(lambda: standalone.aws.endpoint_url, silence=4) as aws,
        FaultProxy(lambda: standalone.api_url, lambda e: e["REQUEST_METHOD"]) as api,
        PostgreSql() if PostgreSql.programs() else nullcontext() as server,
    ):
        # Jobs reach AWS through the proxy, too.
        images = {"python": {"env": {"AWS_ENDPOINT_URL": aws.url}}, "missing": None}
        standalone = KillableStandalone(
            dags,
            folder / "state",
            settings=Settings(images=images),
            max_vcpus=128,
            extra_env={
                **({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.url} if server else {}),
                "AWS_ENDPOINT_URL": aws.url,
                "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(
                    {"conn_type": "aws", "extra": {"config_kwargs": {"read_timeout": 3}}}
                ),
                "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api.url}/execution/",
                "AIRFLOW__CORE__PARALLELISM": "8",
                # A foreach of 50 is 25 task instances, each of an array of two.
                "AIRFLOW__CORE__MAX_MAP_LENGTH": "25",
                "AIRFLOW__FLOWPROVIDER__SYNC_WINDOW": "3",
                # Whoever is dead is taken for dead after seconds instead of minutes.
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
                "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
                "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
                "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
            },
        )
        with standalone:
            yield FaultyAirflow(standalone, dags, aws, api)
