"""A run that was deleted in Airflow and made again under its id must not take over its results."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_flowprovider.operators.runs import start_run
from flowsdk import FlowSpec
from flowsdk.datastore import FlowDatastore
from tests.flowsdk.examples import RUN


def context(began: timedelta, try_number: int) -> dict[str, Any]:
    start_date = datetime.fromisoformat(RUN.created_at) + began
    return {
        "run_id": RUN.run,
        "dag_run": SimpleNamespace(start_date=start_date),
        "ti": SimpleNamespace(try_number=try_number),
    }


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    store = FlowDatastore.at(str(tmp_path), RUN.flow)
    store.write_run(RUN)
    return store


def test_what_a_deleted_run_has_left_is_refused(store: FlowDatastore) -> None:
    with pytest.raises(AirflowFailException, match="data of an earlier run of this id"):
        start_run(FlowSpec, store, context(timedelta(hours=1), 1))


@pytest.mark.parametrize(("began", "try_number"), [(-1, 1), (1, 2)])
def test_the_run_itself_is_found_again(store: FlowDatastore, began: int, try_number: int) -> None:
    assert start_run(FlowSpec, store, context(timedelta(seconds=began), try_number)) == RUN
